/** The REST and SSE door to the mesh itself: engine, hardware, events, health. */
import { type BeforeApplicationShutdown, Controller, Get, Inject, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { Bus, type Storage } from '#bus';
import { type Engine, MeshError } from '#contracts';
import { type MeshNews, MeshView } from '../../mesh-view.js';
import { Relays } from '../../relay/relays.js';
import { STORAGE } from '../../storage.js';
import { COMMENT, encodeEvent, openEventStream } from '../sse/sse.js';

const KEEP_ALIVE_MS = 15_000;
const MAX_LISTENERS = 1_000;
/** Bytes of news that may wait for one listener; it is cut beyond them and starts over with the latest. */
const MAX_WAITING_BYTES = 1024 * 1024;

@ApiTags('mesh')
@Controller()
export class MeshStateController implements BeforeApplicationShutdown {
  readonly #listening = new Set<Response>();
  /** Ends our own listening, while anybody does. */
  #deafen: (() => void) | undefined;

  constructor(
    private readonly mesh: MeshView,
    private readonly relays: Relays,
    private readonly bus: Bus,
    @Inject(STORAGE) private readonly storage: Storage,
  ) {}

  @Get('engine')
  @ApiOperation({ summary: "Every node's engine: its state, why, and what was chosen" })
  async engine() {
    return { nodes: await this.mesh.engines() };
  }

  @Get('hardware')
  @ApiOperation({ summary: "Every node's hardware" })
  async hardware() {
    return { nodes: await this.mesh.hardware() };
  }

  @Get('events')
  @ApiOperation({ summary: 'What the mesh does, as it happens: engine, hardware, pull' })
  @ApiProduces('text/event-stream')
  events(@Res() response: Response): void {
    if (this.#listening.size >= MAX_LISTENERS) throw new MeshError('unavailable', `${MAX_LISTENERS} clients listen to events already.`);
    openEventStream(response);
    this.#listening.add(response);
    for (const { event, data } of this.mesh.latest()) response.write(encodeEvent(event, data));
    this.#deafen ??= this.mesh.listen((news) => this.#tell(news));
    const keepAlive = setInterval(() => response.write(COMMENT), KEEP_ALIVE_MS);
    response.on('close', () => {
      clearInterval(keepAlive);
      this.#listening.delete(response);
      if (this.#listening.size > 0) return;
      this.#deafen?.();
      this.#deafen = undefined;
    });
  }

  @Get('health')
  @ApiOperation({ summary: 'Is the gateway alive' })
  health() {
    return { status: 'ok', bus: this.#bus, streams: this.relays.counts, viewers: this.relays.viewers };
  }

  @Get('ready')
  @ApiOperation({ summary: 'Can it answer: 200 when an engine is ready, else 503 with the reasons; and how each part is' })
  async ready(@Res() response: Response): Promise<void> {
    const { engines, reason } = await this.#engines();
    const reasons = reason === undefined ? obstaclesOf(engines) : [reason];
    const parts = {
      bus: { state: this.#bus },
      storage: { state: this.storage.kind, keeps: this.storage.reason },
      engines: engines.map(({ node, state, reason: why }) => ({ node, state, reason: why })),
      hardware: this.mesh.latest().flatMap((news) => (news.event === 'hardware' ? [{ node: news.data.node, sampledAt: news.data.sampledAt, gpus: news.data.gpus.length }] : [])),
    };
    response.status(reasons.length === 0 ? 200 : 503).json({ ready: reasons.length === 0, reasons, parts });
  }

  /** Open event streams would keep the server from closing. */
  beforeApplicationShutdown(): void {
    for (const response of this.#listening) response.end();
  }

  /** Encoded once, however many listen; written to the connections themselves, as an SseViewer does. */
  #tell({ event, data }: MeshNews): void {
    const bytes = encodeEvent(event, data);
    for (const response of this.#listening) {
      const { socket } = response;
      if (!socket) continue; // Closing.
      socket.write(bytes);
      if (socket.writableLength > MAX_WAITING_BYTES) response.destroy();
    }
  }

  get #bus(): 'connected' | 'reconnecting' {
    return this.bus.connected ? 'connected' : 'reconnecting';
  }

  /** What is known of the engines, and why that is not enough to be ready. */
  async #engines(): Promise<{ engines: Engine[]; reason?: string }> {
    const known = this.mesh.latest().flatMap((news) => (news.event === 'engine' ? [news.data] : []));
    if (!this.bus.connected) return { engines: known, reason: 'The bus is not connected.' };
    try {
      return { engines: await this.mesh.engines() };
    } catch (thrown) {
      return { engines: known, reason: MeshError.from(thrown).message };
    }
  }
}

function obstaclesOf(engines: readonly Engine[]): string[] {
  if (engines.some(({ state }) => state === 'ready')) return [];
  return engines.map(({ node, state, reason }) => `The engine of node "${node}" is ${state}: ${reason}`);
}
