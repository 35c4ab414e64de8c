/** Where a setting came from, so that an error can name the thing to change. */

export type Origin =
  | { readonly from: 'file'; readonly name: string; /** The file's own key, where it differs from the setting's path. */ readonly key?: string }
  | { readonly from: 'environment'; readonly name: string }
  | { readonly from: 'flag'; readonly name: string };

/** One value for one path of the schema, such as `gateway.port`. */
export interface Assignment {
  readonly path: string;
  readonly value: unknown;
  readonly origin: Origin;
}
