/** What a broker must do with a client's bytes, written for plainness alone: whole streams, regular expressions, linear scans. Shares no code with the broker. */

export interface Limits { maxControlLine: number; maxPayload: number }

export interface Message { subject: string; reply: string | undefined; headers: string; payload: string; hasHeaders: boolean }

type Step =
  | { kind: 'publish'; message: Message }
  | { kind: 'connect'; json: string }
  | { kind: 'subscribe'; subject: string; queue: string | undefined; sid: string }
  | { kind: 'unsubscribe'; sid: string; max: number }
  | { kind: 'ping' };

export interface Reading {
  /** Everything understood, with the offset behind its last byte. */
  steps: { end: number; step: Step }[];
  /** What the client is told when a complete line or message is wrong. */
  violation: string | undefined;
  /** An unfinished line is left over: a broker may already see that it is wrong, or not yet. */
  openLine: boolean;
}

/** Reads a whole stream, Latin-1. */
export function readStream(stream: string, limits: Limits): Reading {
  const steps: Reading['steps'] = [];
  const stop = (violation: string | undefined, openLine = false): Reading => ({ steps, violation, openLine });
  let at = 0;
  for (;;) {
    const newline = stream.indexOf('\n', at);
    const raw = newline < 0 ? stream.slice(at) : stream.slice(at, newline);
    // A name, a blank and a carriage return come on top of the arguments.
    if (raw.length > limits.maxControlLine + 9) {
      return stop(/^(pub|hpub|sub|unsub|ping|pong|connect|info|\+ok|-err)/i.test(raw) ? 'maximum control line exceeded' : 'Unknown Protocol Operation');
    }
    if (newline < 0) return stop(undefined, raw !== '');
    const line = raw.replace(/\r$/, '');
    at = newline + 1;
    const [, name = '', rest = ''] = /^(pub|hpub|sub|unsub)[ \t]([^]*)$/i.exec(line) ?? /^(ping|pong|connect|info|\+ok|-err)([^]*)$/i.exec(line) ?? [];
    const args = rest.split(/[ \t\r]+/).filter((arg) => arg !== '');
    const push = (step: Step): void => { steps.push({ end: at, step }); };
    switch (name.toLowerCase()) {
      case '': return stop('Unknown Protocol Operation');
      case 'ping': push({ kind: 'ping' }); break;
      case 'pong': case 'info': case '+ok': break;
      case '-err': return stop('Parser Error');
      case 'connect': push({ kind: 'connect', json: rest }); break;
      case 'sub':
        if (args.length === 2) push({ kind: 'subscribe', subject: args[0]!, queue: undefined, sid: args[1]! });
        else if (args.length === 3) push({ kind: 'subscribe', subject: args[0]!, queue: args[1], sid: args[2]! });
        else return stop('Parser Error');
        break;
      case 'unsub':
        if (args.length < 1 || args.length > 2) return stop('Parser Error');
        push({ kind: 'unsubscribe', sid: args[0]!, max: size(args[1]) ?? 0 });
        break;
      default: {
        const headed = name.toLowerCase() === 'hpub';
        const fixed = headed ? 3 : 2;
        if (args.length !== fixed && args.length !== fixed + 1) return stop('Parser Error');
        const total = size(args.at(-1));
        const head = headed ? size(args.at(-2)) : 0;
        if (total === undefined || head === undefined || head > total) return stop('Parser Error');
        if (total > limits.maxPayload) return stop('Maximum Payload Violation');
        const body = stream.slice(at, at + total);
        const tail = stream.slice(at + total, at + total + 2);
        if (tail.length < 2) return stop(undefined);
        if (tail !== '\r\n') return stop('Unknown Protocol Operation');
        at += total + 2;
        const reply = args.length === fixed + 1 ? args[1] : undefined;
        push({ kind: 'publish', message: { subject: args[0]!, reply, headers: body.slice(0, head), payload: body.slice(head), hasHeaders: headed } });
      }
    }
  }
}

function size(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Whether a message reaches a subscription, token by token. */
export function reaches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  if (tokens.includes('')) return false;
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return tokens.length > index;
    if (tokens.length <= index || (token !== '*' && token !== tokens[index])) return false;
  }
  return wanted.length === tokens.length;
}

interface ModelSubscription { subject: string; queue: string | undefined; sid: string; max: number; delivered: number }

/** How a message looks to a subscriber. */
export function frame(message: Message, sid: string, understandsHeaders: boolean): string {
  const { subject, reply, headers, payload } = message;
  const address = [subject, sid, ...(reply === undefined ? [] : [reply])].join(' ');
  if (headers === '') return `MSG ${address} ${payload.length}\r\n${payload}\r\n`;
  if (!understandsHeaders) return `MSG ${address} ${payload.length}\r\n${payload}\r\n`;
  return `HMSG ${address} ${headers.length} ${headers.length + payload.length}\r\n${headers}${payload}\r\n`;
}

/** One client as the model sees it: what it is told, and what it publishes. */
export class ModelClient {
  /** Everything it is told, in order; frames of one message are told in any order. */
  readonly told: string[] = [];
  /** What it was told can't be foreseen: a queue group with several members of its own, or several subscriptions a 503 could go to. */
  ambiguous = false;
  closed = false;
  readonly #othersReached: (message: Message) => number;
  readonly #onPublish: (message: Message) => void;
  #subscriptions: ModelSubscription[] = [];
  #options = { verbose: true, pedantic: true, echo: true, headers: false, no_responders: false };

  /** `othersReached` tells how many other clients' subscriptions (or groups) get the message. */
  constructor(othersReached: (message: Message) => number, onPublish: (message: Message) => void) {
    this.#othersReached = othersReached;
    this.#onPublish = onPublish;
  }

  obey(step: Step): void {
    if (this.closed) return;
    switch (step.kind) {
      case 'ping': this.told.push('PONG\r\n'); break;
      case 'connect': this.#connect(step.json); break;
      case 'subscribe': this.#subscribe(step.subject, step.queue, step.sid); break;
      case 'unsubscribe': this.#unsubscribe(step.sid, step.max); break;
      case 'publish': this.#publish(step.message); break;
    }
  }

  /** A message of somebody else. */
  hear(message: Message): void {
    if (!this.closed) this.#deliver(message);
  }

  refuse(words: string): void {
    if (this.closed) return;
    this.told.push(`-ERR '${words}'\r\n`);
    this.closed = true;
  }

  #connect(json: string): void {
    let given: unknown;
    try {
      given = JSON.parse(Buffer.from(json, 'latin1').toString());
    } catch {
      this.refuse('Parser Error');
      return;
    }
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      this.refuse('Parser Error');
      return;
    }
    const fields = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null && value !== undefined));
    if (![0, 1, undefined].includes(fields['protocol'] as number | undefined)) {
      this.refuse('invalid client protocol');
      return;
    }
    const flags = Object.keys(this.#options).filter((name) => name in fields);
    const strings = ['name', 'auth_token'].filter((name) => name in fields);
    if (flags.some((name) => typeof fields[name] !== 'boolean') || strings.some((name) => typeof fields[name] !== 'string')) {
      this.refuse('Parser Error');
      return;
    }
    const options = { ...this.#options, ...Object.fromEntries(flags.map((name) => [name, fields[name]])) };
    if (options.no_responders && !options.headers) {
      this.refuse('no responders requires headers support');
      return;
    }
    this.#options = options;
    this.#acknowledge();
  }

  #subscribe(subject: string, queue: string | undefined, sid: string): void {
    const tokens = subject.split('.');
    if (tokens.includes('') || tokens.slice(0, -1).includes('>') || subject.includes('\f')) {
      this.told.push("-ERR 'Invalid Subject'\r\n");
      return;
    }
    if (!this.#subscriptions.some((held) => held.sid === sid)) this.#subscriptions.push({ subject, queue, sid, max: 0, delivered: 0 });
    this.#acknowledge();
  }

  #unsubscribe(sid: string, max: number): void {
    const held = this.#subscriptions.find((subscription) => subscription.sid === sid);
    if (held !== undefined) held.max = max === 0 ? held.delivered : max;
    this.#subscriptions = this.#subscriptions.filter((subscription) => subscription !== held || held.delivered < held.max);
    this.#acknowledge();
  }

  #publish(message: Message): void {
    if (message.hasHeaders && !this.#options.headers) {
      this.refuse('message headers not supported');
      return;
    }
    const tokens = message.subject.split('.');
    const literal = !tokens.includes('') && !tokens.includes('*') && !tokens.includes('>') && !message.subject.includes('\f');
    if (this.#options.pedantic && !literal) this.told.push("-ERR 'Invalid Publish Subject'\r\n");
    this.#acknowledge();
    const own = this.#options.echo ? this.#deliver(message) : 0;
    const others = this.#othersReached(message);
    this.#onPublish(message);
    if (own + others > 0 || message.reply === undefined || !this.#options.no_responders) return;
    const { reply } = message;
    const askers = this.#subscriptions.filter((held) => reaches(held.subject, reply));
    if (askers.length > 1) this.ambiguous = true;
    if (askers[0] !== undefined) this.told.push(`HMSG ${reply} ${askers[0].sid} 16 16\r\nNATS/1.0 503\r\n\r\n\r\n`);
  }

  #deliver(message: Message): number {
    const hit = this.#subscriptions.filter((held) => reaches(held.subject, message.subject));
    const queues = hit.flatMap(({ queue }) => (queue === undefined ? [] : [queue]));
    if (new Set(queues).size < queues.length) this.ambiguous = true;
    for (const held of hit) {
      held.delivered += 1;
      this.told.push(frame(message, held.sid, this.#options.headers));
    }
    this.#subscriptions = this.#subscriptions.filter((held) => held.max === 0 || held.delivered < held.max);
    return hit.length;
  }

  #acknowledge(): void {
    if (this.#options.verbose) this.told.push('+OK\r\n');
  }
}
