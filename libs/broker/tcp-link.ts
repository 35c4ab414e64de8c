/** A TCP socket as a session's link. */
import type { Socket } from 'node:net';
import type { Link } from './link.js';

/** How long a polite hang-up may take before the socket is destroyed, in milliseconds. */
const LINGER_MS = 1000;

export function createTcpLink(socket: Socket): Link {
  const remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
  return {
    remote,
    get buffered() {
      return socket.writableLength;
    },
    write(buffers) {
      const [first] = buffers;
      if (socket.destroyed || first === undefined) return;
      if (buffers.length === 1) {
        socket.write(first);
        return;
      }
      socket.cork();
      for (const buffer of buffers) socket.write(buffer);
      socket.uncork();
    },
    end() {
      // What still arrives is read and dropped: closing over unread bytes resets the connection, and the last error with it.
      socket.end();
      const timer = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.once('close', () => clearTimeout(timer));
    },
    destroy() {
      socket.destroy();
    },
    pause() {
      socket.pause();
    },
    resume() {
      socket.resume();
    },
  };
}
