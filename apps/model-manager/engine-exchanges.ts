/** Requests that pass through to the engine as they are, each in pieces over the bus; engine-exchange.ts in contracts lists which. */
import { PassThrough } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { type AnswerPiece, MeshError, type PassedOn } from '#contracts';
import type { OllamaClient } from '#ollama';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';

const MAX_OPEN = 64;
/** Characters of an answer that wait for the gateway before the engine's connection is paused. */
const MAX_WAITING = 1024 * 1024;
/** How long `receive` waits for a first word; and then for the rest, so that a short answer is one piece. In milliseconds. */
const HOLD_MS = 5_000;
const GATHER_MS = 10;
/** Nobody has asked for so long: the gateway is gone. */
const IDLE_MS = 90_000;

@Injectable()
export class EngineExchanges implements OnApplicationShutdown {
  readonly #engine: EngineLink;
  readonly #catalogue: Catalogue;
  readonly #open = new Map<string, EngineExchange>();

  constructor(engine: EngineLink, catalogue: Catalogue) {
    this.#engine = engine;
    this.#catalogue = catalogue;
  }

  /** @throws MeshError `engine_unavailable`, `engine_busy` */
  async begin(id: string, to: PassedOn, body: string | undefined): Promise<AnswerPiece> {
    if (this.#open.size >= MAX_OPEN) throw new MeshError('engine_busy', `${MAX_OPEN} requests pass through this node to its engine already.`);
    const client = await this.#engine.client();
    this.#open.set(id, new EngineExchange(client, to, body, () => this.#forget(id)));
    return body === undefined ? { text: '', more: true } : this.receive(id);
  }

  async send(id: string, bytes: string, last: boolean): Promise<{ answered: boolean }> {
    return this.#find(id).send(Buffer.from(bytes, 'base64'), last);
  }

  /** @throws MeshError of the engine's connection */
  async receive(id: string): Promise<AnswerPiece> {
    const exchange = this.#find(id);
    try {
      const piece = await exchange.receive();
      if (!piece.more) this.#forget(id);
      return piece;
    } catch (thrown) {
      this.#forget(id);
      throw thrown;
    }
  }

  end(id: string): void {
    this.#forget(id);
  }

  onApplicationShutdown(): void {
    for (const id of this.#open.keys()) this.#forget(id);
  }

  #find(id: string): EngineExchange {
    const exchange = this.#open.get(id);
    if (!exchange) throw new MeshError('not_found', 'That request to the engine has ended.');
    return exchange;
  }

  #forget(id: string): void {
    this.#open.get(id)?.close();
    if (this.#open.delete(id)) this.#catalogue.forget(); // It may have made or removed a model.
  }
}

class EngineExchange {
  readonly #body = new PassThrough();
  readonly #abort = new AbortController();
  readonly #idle: NodeJS.Timeout;
  #status: number | undefined;
  #contentType: string | undefined;
  #text = '';
  #ended = false;
  #failure: unknown;
  /** Those who wait for a change, each with a look at whether it came. */
  readonly #waiting = new Set<() => void>();

  constructor(client: OllamaClient, to: PassedOn, body: string | undefined, abandoned: () => void) {
    this.#idle = setTimeout(abandoned, IDLE_MS);
    this.#body.on('error', () => undefined); // The engine went; the answer says so.
    this.#body.on('drain', () => this.#changed());
    void this.#run(client, to, body);
  }

  async send(bytes: Buffer, last: boolean): Promise<{ answered: boolean }> {
    this.#idle.refresh();
    const answered = () => this.#status !== undefined || this.#ended;
    if (answered()) return { answered: true };
    const room = this.#body.write(bytes);
    if (last) this.#body.end();
    else if (!room) await this.#until(() => !this.#body.writableNeedDrain || answered());
    return { answered: answered() };
  }

  async receive(): Promise<AnswerPiece> {
    this.#idle.refresh();
    await this.#until(() => this.#ended || this.#text !== '', HOLD_MS);
    if (!this.#ended) await this.#until(() => this.#ended, GATHER_MS);
    if (this.#failure !== undefined && this.#text === '') throw this.#failure;
    const text = this.#text;
    this.#text = '';
    this.#changed();
    return {
      text,
      more: !this.#ended || this.#failure !== undefined,
      ...(this.#status !== undefined && { status: this.#status }),
      ...(this.#contentType !== undefined && { contentType: this.#contentType }),
    };
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#abort.abort();
    this.#body.destroy();
    this.#changed();
  }

  async #run(client: OllamaClient, to: PassedOn, body: string | undefined): Promise<void> {
    const decoder = new StringDecoder('utf8');
    try {
      const answer = await client.passOn(to.method, to.path === '/api/blobs' ? `${to.path}/${to.digest}` : to.path, body ?? this.#body, this.#abort.signal);
      this.#status = answer.statusCode;
      this.#contentType = answer.contentType;
      this.#changed();
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        this.#text += decoder.write(chunk);
        this.#changed();
        if (this.#text.length > MAX_WAITING) await this.#until(() => this.#text.length <= MAX_WAITING || this.#abort.signal.aborted);
      }
      this.#text += decoder.end();
    } catch (thrown) {
      this.#failure = thrown;
    } finally {
      this.#ended = true;
      this.#changed();
    }
  }

  #changed(): void {
    for (const look of this.#waiting) look();
  }

  /** Settles when `condition` holds, the exchange is over, or `withinMs` have passed. */
  #until(condition: () => boolean, withinMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const look = () => {
        if (condition() || this.#abort.signal.aborted) settle();
      };
      const timer = withinMs === undefined ? undefined : setTimeout(settle, withinMs);
      this.#waiting.add(look);
      look();
    });
  }
}
