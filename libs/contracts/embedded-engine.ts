/** What the embedded engine's child process tells its parent over the IPC channel. */
import { z } from 'zod';

/** Sent once, when the child's HTTP server accepts connections. */
export const EngineListening = z.object({
  type: z.literal('listening'),
  /** Base URL of the Ollama API, without a trailing slash. */
  url: z.url(),
  /** Version the engine answers on /api/version. */
  version: z.string(),
});
export type EngineListening = z.infer<typeof EngineListening>;

/**
 * Sent before a model is loaded and when it is loaded or gone: llama.cpp ends the process on some files, and whoever finds it ended
 * can say which model it was.
 */
export const EngineModelStage = z.object({
  type: z.literal('model'),
  /** Short name with tag. */
  model: z.string(),
  stage: z.enum(['loading', 'loaded', 'gone']),
});
export type EngineModelStage = z.infer<typeof EngineModelStage>;
