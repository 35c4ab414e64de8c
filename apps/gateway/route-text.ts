/** Who answered and who was tried before, as headers and traces have it. */
import { type ErrorBody, FailedTarget, OWN_PROVIDER, type Route } from '#contracts';

const Tried = FailedTarget.array();

/** Who no target answered. */
export const NOBODY = 'none';

/** What answered a request, by what is known at its end. */
export interface Answered {
  readonly model: string;
  readonly route?: Route | undefined;
  /** Where it might have come from, where there was a choice. */
  readonly targets?: readonly string[] | undefined;
}

export function providerOf({ route, targets }: Omit<Answered, 'model'>): string {
  return route?.provider ?? (targets ? NOBODY : OWN_PROVIDER);
}

/** The model that answered: of another provider than the mesh's own engine as `<provider>:<model>`. */
export function answeringModel({ model, route, targets }: Answered): string {
  if (!route) return targets ? NOBODY : model;
  return route.provider === OWN_PROVIDER ? route.model : `${route.provider}:${route.model}`;
}

/** Who was tried before it came to that error; undefined where there was no choice. */
export function triedIn({ details }: Pick<ErrorBody, 'details'>): readonly FailedTarget[] | undefined {
  return Tried.safeParse(details?.['tried']).data;
}

/** A list of structured fields (RFC 9651), in the order of asking: `"ollama:llama3.2";failed=engine_unavailable, "openai:gpt-4o-mini"`. */
export function routeText(tried: readonly FailedTarget[], route?: Pick<Route, 'provider' | 'model'>): string {
  const failed = tried.map(({ target, code }) => `"${headerText(target)}";failed=${code}`);
  return [...failed, ...(route ? [`"${headerText(`${route.provider}:${route.model}`)}"`] : [])].join(', ');
}

/** `text` as a header can carry it, in quotes if need be. */
export function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&');
}
