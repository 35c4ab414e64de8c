/** A TCP socket that speaks the protocol by hand, for what the official client can't or won't say. */
import { connect, type Socket } from 'node:net';

/** How long `until` waits, in milliseconds. */
const PATIENCE_MS = 5000;

export class RawClient {
  /** Everything after INFO, Latin-1: one character is one byte. */
  received = '';
  info: Record<string, unknown> = {};
  readonly closed: Promise<void>;
  readonly socket: Socket;
  #greeting = '';
  #wake: () => void = () => undefined;

  private constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.closed = new Promise((resolve) => {
      this.socket.once('close', () => { resolve(); this.#wake(); });
    });
    // A reset is one of the ways a server hangs up: `closed` tells.
    this.socket.on('error', () => this.socket.destroy());
    this.socket.on('data', (chunk: Buffer) => this.#take(chunk.toString('latin1')));
  }

  /** Connects and waits for INFO. */
  static async connect(port: number, ...firstLines: string[]): Promise<RawClient> {
    const client = new RawClient(port);
    await client.#when(() => client.#greeting === 'read', 'INFO');
    if (firstLines.length > 0) client.send(...firstLines);
    return client;
  }

  /** Sends lines, each with its CR LF. */
  send(...lines: string[]): void {
    this.sendBytes(Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1'));
  }

  sendBytes(bytes: Buffer): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** Waits until what was received includes the text; answers all that was received. */
  async until(text: string): Promise<string> {
    await this.#when(() => this.received.includes(text), JSON.stringify(text));
    return this.received;
  }

  /** Everything the server answers to these lines: sends PING after them and reads up to its PONG. */
  async ask(...lines: string[]): Promise<string> {
    const before = this.received.length;
    this.send(...lines, 'PING');
    await this.#when(() => this.received.slice(before).endsWith('PONG\r\n'), 'PONG');
    return this.received.slice(before, -'PONG\r\n'.length);
  }

  /** Everything the server says to these lines until it hangs up. */
  async lastWords(...lines: string[]): Promise<string> {
    const before = this.received.length;
    this.send(...lines);
    await this.#when(() => this.socket.closed, 'the end of the connection');
    return this.received.slice(before);
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #take(text: string): void {
    if (this.#greeting === 'read') {
      this.received += text;
    } else {
      this.#greeting += text;
      const end = this.#greeting.indexOf('\r\n');
      if (end >= 0) {
        this.received = this.#greeting.slice(end + 2);
        this.info = JSON.parse(this.#greeting.slice('INFO '.length, end)) as Record<string, unknown>;
        this.#greeting = 'read';
      }
    }
    this.#wake();
  }

  async #when(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!condition()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`waited in vain for ${what}; received ${JSON.stringify(this.received.slice(-500))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => { clearTimeout(timer); resolve(); };
      });
    }
  }
}
