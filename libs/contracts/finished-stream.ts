/** A stream that has ended, as gateways keep it for one another: whole, and with every position that a viewer may come back with. */
import { z } from 'zod';
import { Route } from './providers.js';
import { Ending, Part } from './viewer.js';

export const StoredLog = z.object({
  epoch: z.int().positive(),
  parts: z.array(Part),
  ending: Ending,
  route: Route.optional(),
  /** For each frame: by how much it lengthened the last part's text, or, where it began a part, -1 less the text it began with. */
  steps: z.array(z.int()),
});
export type StoredLog = z.infer<typeof StoredLog>;

export const FinishedStream = z.object({
  model: z.string(),
  /** When it ended, in milliseconds since 1970. */
  endedAt: z.number(),
  log: StoredLog,
});
export type FinishedStream = z.infer<typeof FinishedStream>;
