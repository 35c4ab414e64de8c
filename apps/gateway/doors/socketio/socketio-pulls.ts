/** The Socket.IO door to pulls: start, cancel, and every pull's progress for whoever wants it. socketio-door.ts owns streams. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { CancelPull, ModelsPull, ModelsPullCancel, type PullProgress, PullModel } from '#contracts';
import { z } from 'zod';
import { MeshView } from '../../mesh-view.js';
import { answer } from './answer.js';
import type { MeshServer, MeshSocket } from './socketio-viewer.js';

/** Everyone who watches pulls. */
const ROOM = 'pulls';
const Nothing = z.strictObject({}).optional();

@Injectable()
export class SocketIoPulls {
  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
  ) {}

  /** Answers every socket of `server` from now on. */
  open(server: MeshServer): void {
    server.on('connection', (socket) => this.#welcome(socket));
    this.mesh.listen((news) => {
      if (news.event === 'pull') tell(server, news.data);
    });
  }

  #welcome(socket: MeshSocket): void {
    answer(socket, 'watchPulls', Nothing, async () => {
      await socket.join(ROOM);
      return { pulls: this.mesh.latest().flatMap((news) => (news.event === 'pull' ? [news.data] : [])) };
    });
    answer(socket, 'pullModel', PullModel, async ({ model, policy }) => {
      await socket.join(ROOM);
      return this.bus.call(ModelsPull, { model, ...(policy && { policy }) }, { node: this.mesh.nodeFor() });
    });
    answer(socket, 'cancelPull', CancelPull, ({ model }) => this.bus.call(ModelsPullCancel, { model }, { node: this.mesh.nodeFor() }));
  }
}

/** Encoded once for everyone. How many bytes came is soon told again, so that a slow socket may do without; a transition is not. */
function tell(server: MeshServer, progress: PullProgress): void {
  const room = server.to(ROOM);
  (progress.phase === 'downloading' ? room.volatile : room).emit('pull', progress);
}
