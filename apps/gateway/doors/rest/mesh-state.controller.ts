/** The REST and SSE door to the mesh itself: engine, hardware, events, health. */
import { type BeforeApplicationShutdown, Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { Bus } from '#bus';
import { MeshError } from '#contracts';
import { type MeshNews, MeshView } from '../../mesh-view.js';
import { Relays } from '../../relay/relays.js';
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
    return { status: 'ok', bus: this.bus.connected ? 'connected' : 'reconnecting', streams: this.relays.counts, viewers: this.relays.viewers };
  }

  @Get('ready')
  @ApiOperation({ summary: 'Can it answer: 200 when an engine is ready, else 503 with the reasons' })
  async ready(@Res() response: Response): Promise<void> {
    const reasons = await this.#obstacles();
    response.status(reasons.length === 0 ? 200 : 503).json({ ready: reasons.length === 0, reasons });
  }

  /** Open event streams would keep the server from closing. */
  beforeApplicationShutdown(): void {
    for (const response of this.#listening) response.end();
  }

  /** Encoded once, however many listen. */
  #tell({ event, data }: MeshNews): void {
    const bytes = encodeEvent(event, data);
    for (const response of this.#listening) {
      response.write(bytes);
      if (response.writableLength > MAX_WAITING_BYTES) response.destroy();
    }
  }

  async #obstacles(): Promise<string[]> {
    if (!this.bus.connected) return ['The bus is not connected.'];
    try {
      const engines = await this.mesh.engines();
      return engines.some(({ state }) => state === 'ready')
        ? []
        : engines.map(({ node, state, reason }) => `The engine of node "${node}" is ${state}: ${reason}`);
    } catch (thrown) {
      return [MeshError.from(thrown).message];
    }
  }
}
