/** The mesh's end: commands of this user lease it by an open connection, hold it, or stop it. When nobody needs it any more, it says so. */
import { randomBytes } from 'node:crypto';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { MAX_LINE_BYTES, OK, newNonce, proofOf, proves, readLine } from './handshake.js';

export interface ControlOptions {
  /** How long it runs on without a lease, in milliseconds; undefined: until it is stopped. */
  readonly graceMs: number | undefined;
  /** Called once, when the last lease and its grace are over, or a command asked for it. */
  onEnd(reason: string): void;
}

/** Connections at once; a user with more commands than that gets no more leases. */
const MAX_CONNECTIONS = 1_000;
/** How long a connection may take to say who it is, in milliseconds. */
const HANDSHAKE_MS = 5_000;
/** How long whoever wanted this mesh may take to its lease, in milliseconds, however short the grace is. */
const FIRST_LEASE_MS = 10_000;

export class ControlServer {
  readonly secret = randomBytes(24).toString('base64url');
  readonly #leases = new Set<Socket>();
  readonly #open = new Set<Socket>();
  readonly #server: Server;
  #held: boolean;
  #wasLeased = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(private readonly options: ControlOptions) {
    this.#held = options.graceMs === undefined;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Opens it on a loopback port. The grace begins at once: whoever wanted this mesh may be gone already. */
  static async open(options: ControlOptions): Promise<ControlServer> {
    const control = new ControlServer(options);
    await new Promise<void>((resolve, reject) => control.#server.once('error', reject).listen(0, '127.0.0.1', resolve));
    control.#consider();
    return control;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Lets every command know that the mesh is gone. */
  close(): void {
    clearTimeout(this.#timer);
    this.#held = true; // Nothing is considered any more.
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#open.add(socket);
    socket.on('error', () => undefined); // `close` follows.
    socket.on('close', () => {
      this.#open.delete(socket);
      if (this.#leases.delete(socket)) this.#consider();
    });
    socket.setTimeout(HANDSHAKE_MS, () => socket.destroy());
    let received = 0;
    socket.on('data', (chunk) => (received += chunk.length) > 2 * MAX_LINE_BYTES && socket.destroy());
    let nonce: string | undefined;
    createInterface({ input: socket }).on('line', (line) => {
      try {
        if (nonce === undefined) {
          const hello = readLine(line, 'nonce');
          nonce = newNonce();
          socket.write(`${JSON.stringify({ nonce, proof: proofOf(this.secret, 'mesh', hello.nonce) })}\n`);
          return;
        }
        const { proof, wish } = readLine(line, 'proof', 'wish');
        if (!proves(proof, this.secret, 'command', nonce)) throw new Error('This is none of our user\'s commands.');
        socket.setTimeout(0);
        if (wish === 'lease') {
          this.#leases.add(socket);
          this.#wasLeased = true;
        }
        if (wish === 'hold') this.#held = true;
        this.#consider();
        socket.write(`${OK}\n`);
        if (wish === 'stop') this.options.onEnd('A command asked for the end.');
      } catch {
        socket.destroy(); // Not the protocol, or not the secret: nothing to say to it.
      }
    });
  }

  #consider(): void {
    clearTimeout(this.#timer);
    if (this.#held || this.#leases.size > 0) return;
    const graceMs = this.options.graceMs ?? 0;
    this.#timer = setTimeout(() => this.options.onEnd('No command uses the mesh any more.'), this.#wasLeased ? graceMs : Math.max(graceMs, FIRST_LEASE_MS));
  }
}
