/** What a `*.service.yml` may say: an engine in a container, described by whoever ships it. checkout.ts finds the file. */
import { MeshError } from '#contracts';
import { parseYAML } from 'confbox';
import { z } from 'zod';

/** A definition is a page of text; anything longer is something else. */
export const MAX_DEFINITION_BYTES = 64 * 1024;

const Text = z.string().min(1).max(2_000);
const ContainerPort = z.int().min(1).max(65_535);
/** 11434, "11434" or "8080:11434": of the last only the container's side counts, as the host's side is always ours to choose. */
const Port = z
  .union([z.number(), z.string().regex(/^(\d{1,5}:)?\d{1,5}$/, 'is neither a port nor "host:container"')])
  .transform((port) => Number(String(port).split(':').at(-1)))
  .pipe(ContainerPort);

const Definition = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'may hold lower-case letters, digits and "-" only'),
  version: z.union([z.string().min(1).max(64), z.number().transform(String)]),
  description: Text.optional(),
  docker: z.strictObject({
    image: z.string().max(255).regex(/^[a-z0-9][a-z0-9._/:@-]*$/i, 'is not an image name'),
    /** The first is where Ollama's API is served. */
    ports: z.array(Port).min(1).max(16),
    env: z
      .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not the name of a variable'), z.union([z.string().max(4_096), z.number(), z.boolean()]).transform(String))
      .optional(),
    /** Named volumes only: a definition that somebody else wrote gets no folder of this machine. */
    volumes: z.array(z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*:\/[^:]*$/, 'is not "volume:/path"; folders of the host are not allowed')).max(16).optional(),
    health: z
      .strictObject({
        /** How long it may take from its start to its first answer on /api/version, in seconds. */
        timeoutSeconds: z.number().positive().max(3_600),
      })
      .optional(),
  }),
  capabilities: z.array(z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'is not a capability such as "text-to-text"')).min(1).max(32),
  /** A compose file beside the definition that starts the same engine. */
  compose: z.string().max(255).optional(),
});
export type ServiceDefinition = z.infer<typeof Definition>;

/**
 * @param origin what errors call the file
 * @throws MeshError `invalid_request` that names the field and what is wrong with it
 */
export function parseDefinition(text: string, origin: string): ServiceDefinition {
  if (Buffer.byteLength(text) > MAX_DEFINITION_BYTES) throw invalid(origin, `is longer than ${MAX_DEFINITION_BYTES} bytes`);
  let content: unknown;
  try {
    content = parseYAML(text);
  } catch (thrown) {
    throw invalid(origin, `is no YAML: ${thrown instanceof Error ? thrown.message.split('\n')[0] : String(thrown)}`);
  }
  const parsed = Definition.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  const keys = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : undefined;
  const message = (issue?.code === 'invalid_key' ? issue.issues[0]?.message : undefined) ?? issue?.message ?? 'is invalid';
  const reason = keys === undefined ? `${field === '' ? 'it' : field}: ${message}` : `${field === '' ? '' : `${field}: `}unknown: ${keys}`;
  throw invalid(origin, reason, field);
}

function invalid(origin: string, reason: string, field?: string): MeshError {
  return new MeshError('invalid_request', `The service definition ${origin} can't be used: ${reason}.`, field === undefined ? {} : { details: { field } });
}
