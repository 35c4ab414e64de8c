/** Chooses where buckets are kept: in JetStream where the bus's server has it for us, else in this process. */
import { JetStreamApiCodes, JetStreamApiError, jetstreamManager } from '@nats-io/jetstream';
import { type NatsConnection, PermissionViolationError, RequestError } from '@nats-io/transport-node';
import { MeshError } from '#contracts';
import type { Storage } from './bucket.js';
import { JetStreamBucket, isUnserved } from './jetstream-bucket.js';
import { MemoryBucket } from './memory-bucket.js';

const TIMEOUT_MS = 5_000;
/** The codes for: JetStream is not enabled (the client has no name for it), or not for this account. */
const NOT_ENABLED = new Set<number>([10_076, JetStreamApiCodes.JetStreamNotEnabledForAccount]);

/**
 * @param root first token of the bus's subjects, so that meshes on one server keep apart
 * @throws MeshError `unavailable` when there is a JetStream that does not answer: to use memory then would part what is shared.
 */
export async function openStorage(connection: NatsConnection, root: string): Promise<Storage> {
  try {
    await jetstreamManager(connection, { timeout: TIMEOUT_MS });
  } catch (thrown) {
    if (!isAbsent(thrown)) {
      throw new MeshError('unavailable', `The bus has JetStream, but it can't be used: ${thrown instanceof Error ? thrown.message : String(thrown)}.`, { cause: thrown });
    }
    return memoryStorage(connection.info?.max_payload ?? 1024 * 1024);
  }
  return {
    kind: 'jetstream',
    reason: 'in JetStream: they survive restarts, and every gateway has them',
    open: (options) => JetStreamBucket.open(connection, root, options),
  };
}

/** @param maxValueBytes as much as the bus's messages hold, so that nothing depends on where it is kept */
export function memoryStorage(maxValueBytes: number): Storage {
  return {
    kind: 'memory',
    reason: 'in memory: a restart forgets them, since the bus has no JetStream for it',
    open: async (options) => new MemoryBucket(options, maxValueBytes),
  };
}

/** True where nobody serves JetStream, or not to us. */
function isAbsent(thrown: unknown): boolean {
  if (thrown instanceof RequestError && thrown.cause instanceof PermissionViolationError) return true;
  return isUnserved(thrown) || (thrown instanceof JetStreamApiError && NOT_ENABLED.has(thrown.code));
}
