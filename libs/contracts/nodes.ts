/** What each node says about its models and its load, so that whoever has a request knows where to send it. */
import { z } from 'zod';
import { event } from './define.js';

export const NodeStatus = z.object({
  node: z.string(),
  /** `ready`: the engine answers. `coming`: it will, without anybody's doing; requests wait for it. */
  engine: z.enum(['ready', 'coming', 'away']),
  /** Requests that one model answers at once. */
  parallel: z.int().positive(),
  running: z.int().nonnegative(),
  waiting: z.int().nonnegative(),
  models: z.array(
    z.object({
      name: z.string(),
      state: z.enum(['on-disk', 'loading', 'resident']),
      running: z.int().nonnegative(),
      waiting: z.int().nonnegative(),
    }),
  ),
});
export type NodeStatus = z.infer<typeof NodeStatus>;

/** At every change, at most twice a second; and every two seconds, so that silence means that the node is gone. */
export const NodeAnnounced = event('node.status', NodeStatus);
