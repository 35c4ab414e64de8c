/** A command's end: it believes a run file only if whoever answers there proves to have written it. */
import { type Socket, connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { RunFile } from '../run-file.js';
import { MAX_LINE_BYTES, OK, type Wish, newNonce, proofOf, proves, readLine } from './handshake.js';

export interface Lease {
  /** Settles when the mesh has ended or let go. */
  readonly lost: Promise<void>;
  /** Lets go of the mesh. */
  release(): void;
}

/** A mesh that is busy may take a while; one that is gone refuses at once. */
const ANSWER_MS = 5_000;

/**
 * Tells the mesh of `run` what this command wants. The connection does not keep the process alive.
 * @returns undefined where nobody answers, or somebody who is not that mesh
 */
export async function tellMesh({ control }: RunFile, wish: Wish): Promise<Lease | undefined> {
  const socket = connect({ host: '127.0.0.1', port: control.port });
  const timer = setTimeout(() => socket.destroy(), ANSWER_MS);
  try {
    await converse(socket, control.secret, wish);
  } catch {
    socket.destroy();
    return undefined;
  } finally {
    clearTimeout(timer);
  }
  socket.unref();
  const lost = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return { lost, release: () => socket.destroy() };
}

async function converse(socket: Socket, secret: string, wish: Wish): Promise<void> {
  socket.on('error', () => undefined); // The lines end then.
  let received = 0;
  socket.on('data', (chunk) => (received += chunk.length) > 2 * MAX_LINE_BYTES && socket.destroy());
  const nonce = newNonce();
  socket.write(`${JSON.stringify({ nonce })}\n`);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('The connection has ended.');
    return value;
  };
  const mesh = readLine(await next(), 'nonce', 'proof');
  if (!proves(mesh.proof, secret, 'mesh', nonce)) throw new Error('Somebody else is there.');
  socket.write(`${JSON.stringify({ proof: proofOf(secret, 'command', mesh.nonce), wish })}\n`);
  if ((await next()) !== OK) throw new Error('It does not say that it will.');
}
