/** Session records in their bucket: every change is made to the newest record, whoever else changes it at the same time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket } from '#bus';
import { MeshError, SessionRecord } from '#contracts';

/** Changes that may come in between before one gives up. */
const MAX_TRIES = 20;
const MAX_PAUSE_MS = 20;

export interface Loaded {
  readonly record: SessionRecord;
  readonly revision: number;
}

export class SessionRecords {
  constructor(private readonly bucket: Bucket) {}

  /** @throws MeshError `limit_reached` when there are as many sessions as there may be */
  async create(record: SessionRecord): Promise<Loaded> {
    const revision = await this.bucket.create(record.sessionId, encode(record));
    if (revision === undefined) throw new MeshError('internal', 'Two sessions got the same id.');
    return { record, revision };
  }

  async find(id: string): Promise<Loaded | undefined> {
    const entry = await this.bucket.get(id);
    if (!entry) return undefined;
    return { record: SessionRecord.parse(JSON.parse(new TextDecoder().decode(entry.value))), revision: entry.revision };
  }

  /** @throws MeshError `session_not_found` */
  async load(id: string): Promise<Loaded> {
    const loaded = await this.find(id);
    if (!loaded) throw new MeshError('session_not_found', `There is no session ${id}. It may have been closed.`, { details: { sessionId: id } });
    return loaded;
  }

  /**
   * Changes the newest record; `change` may be called more than once.
   * @param change returns undefined for no change; what it throws ends the attempt
   * @returns the record as it is now, and whether this call changed it
   * @throws MeshError `session_not_found`; `unavailable` when too many others change it at the same time
   */
  async change(id: string, change: (record: SessionRecord) => SessionRecord | undefined): Promise<Loaded & { readonly changed: boolean }> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { record, revision } = await this.load(id);
      const changed = change(record);
      if (!changed) return { record, revision, changed: false };
      const written = await this.bucket.update(id, encode(changed), revision);
      if (written !== undefined) return { record: changed, revision: written, changed: true };
      await sleep(Math.random() * MAX_PAUSE_MS);
    }
    throw new MeshError('unavailable', 'Too many change this session at the same time. Try again.', { details: { sessionId: id } });
  }

  async remove(id: string): Promise<void> {
    await this.bucket.delete(id);
  }
}

function encode(record: SessionRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record));
}
