/**
 * Thousands of viewers in one process, driven by its parent's messages:
 *   {open: group, dialect, url, targets: [{target, count}]} → {opened}     every viewer is there and up to date
 *   {result: group}                                         → a summary, once every viewer has heard the end
 *   {close: group}
 * `--nap-ms 1`: looks at its connections once in so long. A reader on the same machine that sleeps in between is woken by
 * every single write, which costs the server twice the write itself and is nobody's work where viewers are elsewhere.
 * `stock-eventsource` and `stock-socketio` as dialect: viewers with the clients that people use, for a few.
 */
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { EventSource } from 'eventsource';
import { io } from 'socket.io-client';
import { DIALECTS } from './dialects.mjs';
import { Ages, Text } from './tally.mjs';

/** Connections that are being opened at once. */
const OPENING = 64;
const OPEN_MS = 60_000;
/** Updates that were read lately: all viewers get the same bytes, and what was read once need not be read again. */
const REMEMBERED = 16;
const READ_BUFFER = Buffer.alloc(1024 * 1024);

const groups = new Map();

class Group {
  ages = new Ages();
  /** What is watched: its text, and the updates that were read lately. */
  streams = new Map();
  viewers = [];
  failures = [];
  ended = 0;

  constructor() {
    this.allEnded = new Promise((resolve) => (this.#resolve = resolve));
  }

  #resolve;

  settle(failure) {
    if (failure) this.failures.push(failure);
    if (++this.ended === this.viewers.length) this.#resolve();
  }

  stream(target) {
    let stream = this.streams.get(target);
    if (!stream) this.streams.set(target, (stream = { text: new Text(), memory: [] }));
    return stream;
  }
}

class Viewer {
  at = 0;
  pending = undefined;
  body = undefined;
  chunked = false;
  settled = false;
  finished = false;
  news = undefined;

  constructor(group, dialect, url, target) {
    this.group = group;
    this.dialect = dialect;
    this.url = url;
    this.target = target;
    this.stream = group.stream(target);
    this.opened = new Promise((resolve, reject) => ([this.open, this.refuse] = [resolve, reject]));
  }

  connect() {
    const { hostname, port } = new URL(this.url);
    this.socket = connect({ host: hostname, port: Number(port), onread: { buffer: READ_BUFFER, callback: (size, buffer) => this.#take(buffer.subarray(0, size)) } });
    this.socket.setNoDelay(true);
    this.socket.on('error', (error) => this.fail(error));
    this.socket.on('close', () => this.fail(new Error(`The connection closed after ${this.at} tokens.`)));
    this.socket.write(this.dialect.opening(new URL(this.url), this.target));
    return this.opened;
  }

  say(bytes) {
    this.socket.write(bytes);
  }

  /** Text that was there before this viewer. */
  old(text) {
    this.at = this.stream.text.read(text, 0).length;
  }

  text(text) {
    const emittedAt = this.stream.text.read(text, this.at);
    this.at += emittedAt.length;
    this.group.ages.count(emittedAt);
    this.news?.push(emittedAt);
  }

  end() {
    this.finished = true;
    if (!this.settled) {
      this.settled = true;
      this.group.settle();
    }
  }

  fail(error) {
    if (this.settled) return;
    this.settled = true;
    this.refuse(error);
    this.group.settle(error.message);
    this.socket?.destroy();
  }

  close() {
    this.settled = true;
    this.socket.destroy();
  }

  #take(bytes) {
    if (this.settled) return true;
    try {
      if (this.pending === undefined && this.#recall(bytes)) return true;
      this.#read(bytes);
    } catch (thrown) {
      this.fail(thrown);
    }
    return true;
  }

  /** What another viewer at the same place has just read need only be counted. */
  #recall(bytes) {
    for (const known of this.stream.memory) {
      if (known.from !== this.at || known.bytes.length !== bytes.length || !known.bytes.equals(bytes)) continue;
      for (const emittedAt of known.news) this.group.ages.count(emittedAt);
      this.at = known.to;
      return true;
    }
    return false;
  }

  #read(bytes) {
    const from = this.at;
    const whole = this.pending === undefined ? bytes : Buffer.concat([this.pending, bytes]);
    const fresh = this.pending === undefined && this.body !== undefined && this.body.length === 0;
    this.news = [];
    const taken = this.dialect.read(this, whole);
    this.pending = taken < whole.length ? Buffer.from(whole.subarray(taken)) : undefined;
    if (fresh && this.pending === undefined && this.body.length === 0 && !this.finished && this.news.length > 0) {
      const { memory } = this.stream;
      memory.unshift({ bytes: Buffer.from(bytes), from, to: this.at, news: this.news });
      memory.length = Math.min(memory.length, REMEMBERED);
    }
    this.news = undefined;
  }
}

class StockEventSource extends Viewer {
  connect() {
    const source = new EventSource(new URL(this.target, this.url));
    this.socket = { destroy: () => source.close() };
    const on = (event, take) => source.addEventListener(event, ({ data }) => this.attempt(() => take(JSON.parse(data))));
    on('snapshot', (data) => (this.old(textOf(data)), this.open()));
    on('delta', (data) => this.text(textOf(data)));
    on('done', () => (this.end(), source.close()));
    return this.opened;
  }

  attempt(take) {
    try {
      take();
    } catch (thrown) {
      this.fail(thrown);
    }
  }
}

class StockSocketIo extends StockEventSource {
  connect() {
    const socket = io(this.url, { forceNew: true });
    this.socket = { destroy: () => socket.disconnect() };
    socket.on('snapshot', (data) => this.attempt(() => (this.old(textOf(data)), this.open())));
    socket.on('delta', (data) => this.attempt(() => this.text(textOf(data))));
    socket.on('done', () => (this.end(), socket.disconnect()));
    socket.emit('join', { streamId: this.target }, (reply) => !reply.ok && this.fail(new Error(reply.error.message)));
    return this.opened;
  }
}

const textOf = ({ parts }) => parts.map(({ text }) => text).join('');
const STOCK = { 'stock-eventsource': StockEventSource, 'stock-socketio': StockSocketIo };

async function open({ open: name, dialect, url, targets }) {
  const group = new Group();
  groups.set(name, group);
  const Kind = STOCK[dialect] ?? Viewer;
  for (const { target, count } of targets) {
    for (let i = 0; i < count; i++) group.viewers.push(new Kind(group, DIALECTS[dialect], url, target));
  }
  let next = 0;
  const opener = async () => {
    while (next < group.viewers.length) await group.viewers[next++].connect();
  };
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`After ${OPEN_MS} ms some of ${group.viewers.length} viewers of "${name}" were not let in.`)), OPEN_MS).unref());
  await Promise.race([Promise.all(Array.from({ length: OPENING }, opener)), late]);
  return { opened: group.viewers.length };
}

async function result({ result: name }) {
  const group = groups.get(name);
  await group.allEnded;
  const streams = [...group.streams].map(([target, { text }]) => ({ target, tokens: text.tokens, sha256: text.sha256 }));
  const complete = group.viewers.filter((viewer) => viewer.finished && viewer.at === viewer.stream.text.tokens).length;
  return { viewers: group.viewers.length, complete, failures: [...new Set(group.failures)].slice(0, 5), streams, ...group.ages.summary() };
}

function close({ close: name }) {
  for (const viewer of groups.get(name)?.viewers ?? []) viewer.close();
  groups.delete(name);
  return {};
}

process.on('message', async (message) => {
  const act = message.open ? open : message.result ? result : close;
  try {
    process.send({ id: message.id, answer: await act(message) });
  } catch (thrown) {
    process.send({ id: message.id, error: thrown.message });
  }
});
process.on('disconnect', () => process.exit());

const napMs = Number(parseArgs({ options: { 'nap-ms': { type: 'string', default: '0' } } }).values['nap-ms']);
const clock = new Int32Array(new SharedArrayBuffer(4));
const nap = () => {
  Atomics.wait(clock, 0, 0, napMs);
  setImmediate(nap);
};
if (napMs > 0) nap();
process.send({ url: 'viewers' });
