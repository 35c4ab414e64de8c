/** Sessions: conversations that many share. A session here is one member's, or one watch link's, view of it. */
import type { AddedLink, AddedMember, Asked, CreateSession, CreatedSession, SessionLink, SessionNews, SessionRole, SessionView, UpdateSession } from '#contracts';
import type { Answer } from './answer.js';
import type { Connections, Reconnecting, Resumed } from './connections.js';
import { either } from './deadline.js';
import type { CallOptions, Http } from './http.js';
import type { Transport } from './transport.js';

export type SessionSettings = CreateSession;
export type SessionChanges = UpdateSession;
export type SessionEvent = SessionNews | Reconnecting | Resumed;

export interface SessionParts {
  readonly http: Http;
  readonly transport: Transport;
  readonly connections: Connections;
  /** Aborted when the client is closed. */
  readonly closed: AbortSignal;
  readonly watch: (streamId: string, options: CallOptions) => Answer;
}

export class Sessions {
  constructor(private readonly parts: SessionParts) {}

  /** Opens a session whose owner this is; `token` is what to keep of it. @throws MeshError */
  async create(settings: SessionSettings = {}, { signal }: CallOptions = {}): Promise<Session> {
    const { sessionId, token, memberId } = await this.parts.http.call<CreatedSession>('POST', '/sessions', { body: settings, signal });
    return new Session(this.parts, sessionId, token, memberId);
  }

  /** A session that exists, by a member's token or a watch link's. Asks nobody: a wrong token is told by what is called next. */
  join(sessionId: string, token: string): Session {
    return new Session(this.parts, sessionId, token);
  }
}

export class Session {
  readonly #parts: SessionParts;
  readonly #path: string;

  constructor(
    parts: SessionParts,
    readonly id: string,
    /** Says who this is; whoever has it may do the same. */
    readonly token: string,
    /** Known to who opened it. */
    readonly memberId?: string,
  ) {
    this.#parts = parts;
    this.#path = `/sessions/${encodeURIComponent(id)}`;
  }

  /** Settings, members, history and the answer that runs. @throws MeshError `forbidden`, `session_not_found` */
  view(options?: CallOptions): Promise<SessionView> {
    return this.#call('GET', '', undefined, options);
  }

  /** Asks; the answer is a stream that everybody in the session watches. @throws MeshError `session_busy` while one runs */
  async say(content: string, options: CallOptions = {}): Promise<Answer> {
    const { streamId } = await this.#call<Asked>('POST', '/messages', { content }, options);
    return this.#parts.watch(streamId, options);
  }

  /** The answer that runs now, to watch; undefined where none does. */
  async running(options: CallOptions = {}): Promise<Answer | undefined> {
    const { running } = await this.view(options);
    return running && this.#parts.watch(running.streamId, options);
  }

  /** Ends the answer that runs (owner). */
  stop(options?: CallOptions): Promise<void> {
    return this.#call('POST', '/stop', undefined, options);
  }

  /** Changes title, system prompt, model or how answers are made; null takes `think`, `format` or `keepAlive` away (owner). */
  update(changes: SessionChanges, options?: CallOptions): Promise<void> {
    return this.#call('PATCH', '', changes, options);
  }

  /** The token in the answer is told once (owner). */
  addMember(name: string, role: SessionRole, options?: CallOptions): Promise<AddedMember> {
    return this.#call('POST', '/members', { name, role }, options);
  }

  removeMember(memberId: string, options?: CallOptions): Promise<void> {
    return this.#call('DELETE', `/members/${encodeURIComponent(memberId)}`, undefined, options);
  }

  /** The watch links there are, without their tokens (owner). */
  async links(options?: CallOptions): Promise<SessionLink[]> {
    return (await this.#call<{ links: SessionLink[] }>('GET', '/links', undefined, options)).links;
  }

  /** A token that lets whoever has it watch (owner). */
  addLink(name?: string, options?: CallOptions): Promise<AddedLink> {
    return this.#call('POST', '/links', name === undefined ? {} : { name }, options);
  }

  revokeLink(linkId: string, options?: CallOptions): Promise<void> {
    return this.#call('DELETE', `/links/${encodeURIComponent(linkId)}`, undefined, options);
  }

  /** Ends the session for everybody (owner). */
  close(options?: CallOptions): Promise<void> {
    return this.#call('DELETE', '', undefined, options);
  }

  /**
   * What happens, beginning with the session as it is, and so again after each lost connection; until it is closed.
   * @throws MeshError `forbidden`, `session_not_found`; `cancelled` by the signal
   */
  async *events({ signal }: CallOptions = {}): AsyncGenerator<SessionEvent> {
    const { transport, connections, closed } = this.#parts;
    const ending = either(closed, signal);
    try {
      yield* connections.keep(() => transport.listen(this.id, this.token, ending.signal), ({ event }) => event === 'closed', ending.signal);
    } finally {
      ending.forget();
    }
  }

  #call<Result>(method: string, path: string, body: object | undefined, { signal }: CallOptions = {}): Promise<Result> {
    return this.#parts.http.call<Result>(method, this.#path + path, { token: this.token, signal, ...(body && { body }) });
  }
}
