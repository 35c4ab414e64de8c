/** Service definitions: engines that somebody describes in a file, started and stopped by their name or source. */
import { z } from 'zod';
import { rpc } from './define.js';

export const Service = z.object({
  /** What starts it: the name of one that comes with ollamesh, a path, or git:… or github:…. */
  source: z.string(),
  name: z.string().optional(),
  version: z.string().optional(),
  description: z.string().optional(),
  image: z.string().optional(),
  capabilities: z.array(z.string()).optional(),
  /** Full hash, for one from a repository. */
  commit: z.string().optional(),
  /** The compose file that comes with it. */
  compose: z.string().optional(),
  /** `active`: the engine is made by it. */
  state: z.enum(['active', 'available', 'unusable']),
  /** Why it is unusable, a sentence. */
  reason: z.string().optional(),
});
export type Service = z.infer<typeof Service>;

export const ServiceWish = z.strictObject({ service: z.string().min(1).max(500) });
export type ServiceWish = z.infer<typeof ServiceWish>;

const All = z.object({ services: z.array(Service) });
/** A repository may have to be fetched first. */
const FETCH = { deadlineMs: 90_000 };

export const ServicesList = rpc('engine.services.list', 'orchestrator', z.object({}), All, FETCH);
/** Makes the engine by this definition from now on; how that goes is told as the engine's state. */
export const ServicesStart = rpc('engine.services.start', 'orchestrator', ServiceWish, Service, FETCH);
/** Back to the engine that the configuration asks for. */
export const ServicesStop = rpc('engine.services.stop', 'orchestrator', z.object({}), All, FETCH);
/** Fetches a repository's definition again; the engine is started anew where it is made by it. */
export const ServicesRefresh = rpc('engine.services.refresh', 'orchestrator', ServiceWish, Service, FETCH);
