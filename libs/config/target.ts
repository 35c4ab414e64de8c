/** Where answers may come from, as the configuration and requests write it: `<provider>` or `<provider>:<model>`. Pure. */

export interface Target {
  /** As it is written. */
  readonly name: string;
  readonly provider: string;
  /** In the provider's words; its default if not set. */
  readonly model: string | undefined;
}

export function readTarget(name: string): Target {
  const colon = name.indexOf(':');
  return colon < 0 ? { name, provider: name, model: undefined } : { name, provider: name.slice(0, colon), model: name.slice(colon + 1) };
}
