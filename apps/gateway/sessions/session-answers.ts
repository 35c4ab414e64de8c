/** The answers of sessions: started as streams, looked at, cancelled, and put in the history when they have ended, by whichever gateway notices first. */
import { createHash, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import type { Config } from '#config';
import { MeshError, type SessionMessage, type SessionRecord, type SessionView, StreamCancel, isSameModel } from '#contracts';
import { CONFIG } from '#runtime';
import { formatPosition, textOf } from '#streams';
import { type Asker, Intake } from '../intake.js';
import { ModelsOfNodes } from '../models-of-nodes.js';
import { Relays } from '../relay/relays.js';
import { type Answer, type HistoryLimits, answered, asked, refuseTooLong, refuseWhileRunning, viewOf } from './policy.js';
import { type TokenBounds, promptOf } from './prompt.js';
import { type Loaded, SessionRecords } from './session-records.js';

type Running = NonNullable<SessionRecord['running']>;

export interface Begun extends Running {
  readonly model: string;
  /** Of the record that says so. */
  readonly revision: number;
}

@Injectable()
export class SessionAnswers {
  readonly #bus: Bus;
  readonly #relays: Relays;
  readonly #intake: Intake;
  readonly #records: SessionRecords;
  readonly #limits: HistoryLimits;
  readonly #inventory: ModelsOfNodes;
  readonly #models: Config['models'];
  /** Session of each running answer that was asked for here. */
  readonly #asked = new Map<string, string>();

  constructor(bus: Bus, relays: Relays, intake: Intake, records: SessionRecords, inventory: ModelsOfNodes, @Inject(CONFIG) { gateway: { limits }, models }: Config) {
    this.#bus = bus;
    this.#relays = relays;
    this.#intake = intake;
    this.#records = records;
    this.#inventory = inventory;
    this.#models = models;
    this.#limits = { messages: limits.sessionHistoryMessages, bytes: limits.sessionHistoryBytes };
  }

  /**
   * Starts the stream that answers `content`, and notes both in the newest record.
   * @param by the name of who asks
   * @param check is shown that record first; what it throws ends the attempt
   * @throws MeshError `session_busy`, `payload_too_large`, `invalid_request` for what no context holds, and what a new stream throws; the history is as it was then
   */
  async begin(record: SessionRecord, { content, by, asker }: { content: string; by: string; asker: Asker }, check: (newest: SessionRecord) => void): Promise<Begun> {
    refuseWhileRunning(record);
    refuseTooLong(content, this.#limits);
    const { request, bytes: promptBytes, leftOut } = promptOf(record, content, await this.#boundsOf(record));
    const { id: streamId, ownerToken, model } = await this.#intake.create(request, { ...asker, client: `session ${record.sessionId}` });
    const running: Running = { streamId, messageId: newMessageId(), ownerTokenHash: createHash('sha256').update(ownerToken).digest('hex'), promptBytes, ...(leftOut > 0 && { leftOut }) };
    const message: SessionMessage = { messageId: running.messageId, role: 'user', content, at: new Date().toISOString(), by };
    try {
      const { revision } = await this.#records.change(record.sessionId, (newest) => {
        check(newest);
        return asked(newest, message, running, this.#limits);
      });
      this.#asked.set(streamId, record.sessionId);
      return { ...running, model, revision };
    } catch (thrown) {
      // Another message came first: nobody would watch this answer. Should that fail too, the first reason is the one to tell.
      await this.cancel(running).catch(() => undefined);
      throw thrown;
    }
  }

  /** Calls `listener` for each stream that ends here, with the session that asked for it here. */
  onEnded(listener: (streamId: string, sessionId: string | undefined) => void): void {
    this.#relays.onEnded(({ id }) => {
      const sessionId = this.#asked.get(id);
      this.#asked.delete(id);
      listener(id, sessionId);
    });
  }

  /** Puts the answer in the history if it has ended. Every gateway may, and one does. */
  async settle(loaded: Loaded): Promise<Loaded & { readonly changed: boolean }> {
    const { sessionId, running } = loaded.record;
    const answer = running && (await this.#answerOf(running));
    if (!answer) return { ...loaded, changed: false };
    this.#asked.delete(running.streamId);
    return this.#records.change(sessionId, (record) => answered(record, running.streamId, answer, this.#limits));
  }

  async isLive({ streamId }: Pick<Running, 'streamId'>): Promise<boolean> {
    return this.#relays.get(streamId).then(({ live }) => live, () => false);
  }

  /** What viewers see of the session, with the running answer's position where this gateway can tell. */
  async view(record: SessionRecord): Promise<SessionView> {
    const view = viewOf(record);
    if (!view.running) return view;
    try {
      const { head } = await this.#relays.get(view.running.streamId);
      return { ...view, running: { ...view.running, position: formatPosition(head) } };
    } catch {
      return view; // Its producer can't be asked now; whoever joins the stream is told why.
    }
  }

  /** Ends the answer; no effect on one that has ended. */
  async cancel(running: Running | undefined): Promise<void> {
    if (!running) return;
    try {
      await this.#bus.call(StreamCancel, { ownerTokenHash: running.ownerTokenHash }, { id: running.streamId });
    } catch (thrown) {
      if (MeshError.from(thrown).code !== 'unavailable') throw thrown; // Nobody produces it any more.
    }
  }

  /** What the configuration, the session, or the nodes say of how much its model holds. */
  async #boundsOf({ model = this.#models.default, options }: SessionRecord): Promise<TokenBounds> {
    const settings = Object.entries(this.#models.settings).find(([name]) => model !== undefined && isSameModel(name, model))?.[1];
    const numPredict = settings?.parameters?.num_predict;
    const said = settings?.contextLength ?? options?.num_ctx ?? settings?.parameters?.num_ctx;
    if (said !== undefined || model === undefined) return { contextLength: said, numPredict };
    const found = (await this.#inventory.list().catch(() => [])).filter(({ name }) => isSameModel(name, model));
    // In memory, what it has there; else what it was made for, which is the most it can have.
    const lengths = found.flatMap(({ residency, contextLength }) => (residency.state === 'resident' ? residency.contextLength : undefined) ?? contextLength ?? []);
    return { contextLength: lengths.length > 0 ? Math.min(...lengths) : undefined, numPredict };
  }

  /** @returns undefined while it runs, or can't be told now */
  async #answerOf({ streamId }: Running): Promise<Answer | undefined> {
    const place = { messageId: newMessageId(), at: new Date().toISOString() };
    try {
      const relay = await this.#relays.get(streamId);
      if (relay.live) return undefined;
      const { parts, done, error } = relay.view();
      const written = parts.map((part) => (part.kind === 'tool' ? '' : part.text)).join('');
      return { ...place, content: textOf(parts), ...(done && { finishReason: done.finishReason, counted: { counters: done.counters, written } }), ...(error && { error }) };
    } catch (thrown) {
      const error = MeshError.from(thrown);
      const isLost = error.code === 'stream_not_found' || error.code === 'stream_gone';
      return isLost ? { ...place, content: '', error: error.toJSON() } : undefined;
    }
  }
}

function newMessageId(): string {
  return randomBytes(9).toString('base64url');
}
