/**
 * Broadcast sessions: members and watch links share one history and watch the same running answer. Every act is checked
 * against the newest record and written by compare-and-set, so that any gateway may serve any session. policy.ts decides,
 * session-answers.ts has them answered, session-room.ts tells those who listen here.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '#bus';
import type { Config } from '#config';
import {
  type AddLink,
  type AddMember,
  type AddedLink,
  type AddedMember,
  type Asked,
  type CreateSession,
  type CreatedSession,
  MeshError,
  SessionChanged,
  type SessionLink,
  type SessionRecord,
  type SessionView,
  type UpdateSession,
} from '#contracts';
import { CONFIG, Logger } from '#runtime';
import type { Asker } from '../intake.js';
import { type Act, type Identity, identify, refuseUnlessMay, updated, viewOf, withLink, withMember, withoutLink, withoutMember } from './policy.js';
import { SessionAnswers } from './session-answers.js';
import { type Loaded, SessionRecords } from './session-records.js';
import { type RoomContext, type SessionListener, SessionRoom } from './session-room.js';

/** How often rooms say who is there, and look whether an answer ended whose gateway is gone, in milliseconds. */
const BEAT_MS = 5_000;

/** A right to act in a session, as a request brings it. */
export interface Pass {
  readonly sessionId: string;
  readonly token: string;
}

@Injectable()
export class Sessions implements OnApplicationBootstrap {
  readonly #bus: Bus;
  readonly #records: SessionRecords;
  readonly #answers: SessionAnswers;
  readonly #limits: Config['gateway']['limits'];
  readonly #log: Logger;
  readonly #rooms = new Map<string, SessionRoom>();
  readonly #roomContext: RoomContext;
  #beat: NodeJS.Timeout | undefined;

  constructor(bus: Bus, answers: SessionAnswers, records: SessionRecords, @Inject(CONFIG) config: Config, logger: Logger) {
    this.#bus = bus;
    this.#answers = answers;
    this.#records = records;
    this.#limits = config.gateway.limits;
    this.#log = logger;
    this.#roomContext = {
      bus,
      records,
      gateway: randomBytes(12).toString('base64url'),
      emptied: (room) => {
        this.#rooms.delete(room.id);
        void room.close();
      },
      warn: (message) => logger.warn(message),
    };
  }

  onApplicationBootstrap(): void {
    this.#answers.onEnded((id, sessionId) => {
      if (sessionId !== undefined) this.#settleSoon(sessionId);
      for (const room of this.#rooms.values()) if (room.id !== sessionId && room.record.running?.streamId === id) this.#settleSoon(room.id);
    });
    this.#bus.onReconnect(() => {
      for (const room of this.#rooms.values()) room.refresh();
    });
    this.#beat = setInterval(() => {
      for (const room of this.#rooms.values()) {
        room.beat();
        if (room.record.running) this.#settleSoon(room.id);
      }
    }, BEAT_MS);
  }

  /** @throws MeshError `limit_reached` when there are as many sessions as there may be */
  async create({ name = 'owner', title = 'Untitled', whenUnwatched = 'continue', ...settings }: CreateSession): Promise<CreatedSession> {
    const [sessionId, memberId, token] = [randomBytes(18).toString('base64url'), newId(), newToken()];
    const empty: SessionRecord = {
      sessionId,
      title,
      whenUnwatched,
      members: [{ memberId, name, role: 'owner', tokenHash: hash(token) }],
      links: [],
      history: [],
    };
    await this.#records.create(updated(empty, settings));
    return { sessionId, memberId, token };
  }

  /** The session as it is now, and the running answer's position where this gateway can tell. */
  async view(pass: Pass): Promise<SessionView> {
    const { record } = await this.#enter(pass, 'watch');
    return this.#answers.view(record);
  }

  async update(pass: Pass, update: UpdateSession): Promise<void> {
    await this.#manage(pass, (record) => updated(record, update));
  }

  async addMember(pass: Pass, { name, role }: AddMember): Promise<AddedMember> {
    const [memberId, token] = [newId(), newToken()];
    await this.#manage(pass, (record) => withMember(record, { memberId, name, role, tokenHash: hash(token) }, this.#limits.sessionMembers));
    return { memberId, token };
  }

  /** Cuts whoever listens by that member's token. */
  async removeMember(pass: Pass, memberId: string): Promise<void> {
    await this.#manage(pass, (record) => withoutMember(record, memberId));
  }

  async links(pass: Pass): Promise<SessionLink[]> {
    const { record } = await this.#enter(pass, 'manage');
    return record.links.map(({ linkId, name, createdAt }) => ({ linkId, name, createdAt }));
  }

  /** A token that lets anyone watch, until it is revoked. */
  async addLink(pass: Pass, { name = 'guest' }: AddLink): Promise<AddedLink> {
    const [linkId, token, createdAt] = [newId(), newToken(), new Date().toISOString()];
    await this.#manage(pass, (record) => withLink(record, { linkId, name, createdAt, tokenHash: hash(token) }, this.#limits.sessionMembers));
    return { linkId, token };
  }

  /** Cuts everyone who came by that link. */
  async revokeLink(pass: Pass, linkId: string): Promise<void> {
    await this.#manage(pass, (record) => withoutLink(record, linkId));
  }

  /** Cuts everyone, and stops the answer that runs. */
  async close(pass: Pass): Promise<void> {
    const { record } = await this.#enter(pass, 'manage');
    await this.#answers.cancel(record.running);
    await this.#records.remove(pass.sessionId);
    this.#announce(pass.sessionId, undefined);
  }

  /**
   * Takes a message; the stream that answers it has the session's history as its prompt.
   * @throws MeshError `session_busy` while an answer runs, `payload_too_large`, `invalid_request` for what the model's context can't hold, and what a new stream throws; the history is as it was then
   */
  async say(pass: Pass, content: string, asker: Asker): Promise<Asked> {
    const { record, identity } = await this.#enter(pass, 'ask');
    const begun = await this.#answers.begin(record, { content, by: identity.name, asker }, (newest) => refuseUnlessMay(known(newest, pass), 'ask'));
    this.#announce(pass.sessionId, begun.revision);
    if (!(await this.#answers.isLive(begun))) this.#settleSoon(pass.sessionId); // It ended before it was noted.
    return { messageId: begun.messageId, streamId: begun.streamId, model: begun.model, ...(begun.leftOut !== undefined && { leftOut: begun.leftOut }) };
  }

  /** Ends the running answer; what there is of it stays. No effect while none runs. */
  async stop(pass: Pass): Promise<void> {
    const { record } = await this.#enter(pass, 'stop');
    await this.#answers.cancel(record.running);
  }

  /**
   * Lets a connection hear what happens, beginning with the session as it is.
   * @param admit makes the listener of whoever the token turned out to be; undefined when its connection has closed meanwhile
   * @returns the end of listening
   */
  async listen(pass: Pass, admit: (identity: Identity) => SessionListener | undefined): Promise<() => void> {
    const loaded = await this.#enter(pass, 'watch');
    const view = await this.#answers.view(loaded.record);
    // From here on nothing waits: what the listener is shown first is what its room knows.
    this.#rooms.get(pass.sessionId)?.learn(loaded);
    const there = this.#rooms.get(pass.sessionId);
    const isNewer = there !== undefined && there.revision > loaded.revision;
    const listener = admit(known(isNewer ? there.record : loaded.record, pass));
    if (!listener) return () => undefined;
    const room = there ?? new SessionRoom(this.#roomContext, loaded);
    this.#rooms.set(pass.sessionId, room);
    listener.send({ event: 'session', data: isNewer ? viewOf(room.record) : view });
    room.add(listener);
    return () => room.delete(listener);
  }

  /** Cuts every listener: they come back, here or at another gateway. */
  async sayFarewell(): Promise<void> {
    clearInterval(this.#beat);
    await Promise.all([...this.#rooms.values()].map((room) => room.close()));
  }

  /** @throws MeshError `session_not_found`, `forbidden` */
  async #enter(pass: Pass, act: Act): Promise<Loaded & { readonly identity: Identity }> {
    const loaded = await this.#records.load(pass.sessionId);
    const identity = known(loaded.record, pass);
    refuseUnlessMay(identity, act);
    return { ...(loaded.record.running ? await this.#settle(loaded) : loaded), identity };
  }

  async #manage(pass: Pass, change: (record: SessionRecord) => SessionRecord): Promise<void> {
    const { revision } = await this.#records.change(pass.sessionId, (record) => {
      refuseUnlessMay(known(record, pass), 'manage');
      return change(record);
    });
    this.#announce(pass.sessionId, revision);
  }

  /** Tells every room of the session, this gateway's too though the bus be away. */
  #announce(id: string, revision: number | undefined): void {
    this.#bus.publish(SessionChanged, revision === undefined ? {} : { revision }, { id });
    this.#rooms.get(id)?.hear(revision);
  }

  #settleSoon(id: string): void {
    const settle = async () => {
      const loaded = await this.#records.find(id);
      if (loaded) await this.#settle(loaded);
    };
    void settle().catch((thrown: unknown) => this.#log.warn(`The answer of session ${id} could not be kept yet: ${MeshError.from(thrown).message}`));
  }

  async #settle(loaded: Loaded): Promise<Loaded> {
    const settled = await this.#answers.settle(loaded);
    if (settled.changed) this.#announce(settled.record.sessionId, settled.revision);
    return settled;
  }
}

/** @throws MeshError `forbidden` */
function known(record: SessionRecord, { token }: Pass): Identity {
  const identity = identify(record, hash(token));
  if (!identity) throw new MeshError('forbidden', 'This token is not (or no longer) one of this session.');
  return identity;
}

function newId(): string {
  return randomBytes(9).toString('base64url');
}

function newToken(): string {
  return randomBytes(24).toString('base64url');
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
