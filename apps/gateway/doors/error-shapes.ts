/** How each door says an error: guards refuse before a door is reached, but in its words. A door that has its own shape stands in this list. */
import type { MeshError } from '#contracts';

export type ErrorShape = (error: MeshError, status: number) => object;

const ours: ErrorShape = (error) => ({ error: error.toJSON() });

const openai: ErrorShape = ({ code, message }, status) => ({ error: { message, type: openaiType(status), param: null, code } });

const ollama: ErrorShape = ({ message }) => ({ error: message });

/** By what a path begins with. */
const SHAPES: readonly [string, ErrorShape][] = [
  ['/v1/', openai],
  ['/api/', ollama],
];

/** The shape of the door that `path` leads to. */
export function errorShape(path: string): ErrorShape {
  const asked = path.toLowerCase();
  return SHAPES.find(([prefix]) => asked.startsWith(prefix))?.[1] ?? ours;
}

/** The word that OpenAI's clients know for a status. */
function openaiType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
