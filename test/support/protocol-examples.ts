/** Reads the examples of docs/PROTOCOL.md, in order. A block that makes no sense is an error: no example may go untested unnoticed. */

export interface HttpExample {
  readonly kind: 'http';
  readonly line: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly answer: { readonly kind: 'json'; readonly status: number; readonly body: unknown } | { readonly kind: 'sse'; readonly events: readonly ExampleEvent[] };
}

export interface ExampleEvent {
  readonly event: string;
  readonly data: unknown;
}

export interface SocketExample {
  readonly kind: 'socketio';
  readonly line: number;
  readonly emit: { readonly event: string; readonly payload: string };
  readonly ack: unknown;
  readonly events: readonly ExampleEvent[];
}

export type Example = HttpExample | SocketExample;

interface Block {
  readonly language: string;
  readonly line: number;
  readonly text: string;
}

/** @throws an error that names the line of the first block that can't be read */
export function readExamples(markdown: string): Example[] {
  const examples: Example[] = [];
  const blocks = fencedBlocks(markdown);
  for (let block = blocks.shift(); block; block = blocks.shift()) {
    if (block.language === 'socketio') examples.push(socketExample(block));
    else if (block.language === 'http') examples.push(httpExample(block, blocks.shift()));
    else throw new Error(`docs/PROTOCOL.md:${block.line}: a block of "${block.language}" that no request stands before`);
  }
  return examples;
}

function fencedBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (!fence) open?.lines.push(line);
    else if (open) {
      blocks.push({ language: open.language, line: open.line, text: open.lines.join('\n') });
      open = undefined;
    } else open = { language: fence[1]?.trim() ?? '', line: index + 1, lines: [] };
  }
  if (open) throw new Error(`docs/PROTOCOL.md:${open.line}: a block that does not end`);
  return blocks;
}

function httpExample({ text, line }: Block, answer: Block | undefined): HttpExample {
  const [head = '', ...rest] = text.split('\n\n');
  const [requestLine = '', ...headerLines] = head.split('\n');
  const request = /^([A-Z]+) (\/\S*)$/.exec(requestLine);
  if (!request || !answer) throw new Error(`docs/PROTOCOL.md:${line}: not a request with an answer: ${requestLine}`);
  const headers = Object.fromEntries(
    headerLines.map((header) => {
      const [, name, value] = /^([a-z-]+): (.+)$/.exec(header) ?? [];
      if (name === undefined || value === undefined) throw new Error(`docs/PROTOCOL.md:${line}: not a header: ${header}`);
      return [name, value];
    }),
  );
  const [, method = '', path = ''] = request;
  return { kind: 'http', line, method, path, headers, body: rest.length > 0 ? rest.join('\n\n') : undefined, answer: httpAnswer(answer) };
}

function httpAnswer({ language, line, text }: Block): HttpExample['answer'] {
  if (language === 'sse') return { kind: 'sse', events: text.trim().split('\n\n').map((event) => sseEvent(event, line)) };
  const [, status, , body] = /^(\d{3})(\n([\s\S]+))?$/.exec(text) ?? [];
  if (language !== 'http' || status === undefined) throw new Error(`docs/PROTOCOL.md:${line}: not an answer: ${text}`);
  return { kind: 'json', status: Number(status), body: body === undefined ? undefined : parseJson(body, line) };
}

function sseEvent(text: string, line: number): ExampleEvent {
  const [, event, data] = /^event: (\w+)\ndata: (.+)$/.exec(text) ?? [];
  if (event === undefined || data === undefined) throw new Error(`docs/PROTOCOL.md:${line}: not an event: ${text}`);
  return { event, data: parseJson(data, line) };
}

function socketExample({ text, line }: Block): SocketExample {
  const [emit, ack, ...events] = text.trim().split('\n').map((row) => {
    const [, verb = '', event = '', json = ''] = /^(emit|on) (\w+) (.+)$/.exec(row) ?? /^(ack)() (.+)$/.exec(row) ?? [];
    if (json === '') throw new Error(`docs/PROTOCOL.md:${line}: neither emit, ack nor on: ${row}`);
    return { verb, event, json };
  });
  if (emit?.verb !== 'emit' || ack?.verb !== 'ack' || events.some(({ verb }) => verb !== 'on')) {
    throw new Error(`docs/PROTOCOL.md:${line}: a Socket.IO example is one emit, its ack, then what comes`);
  }
  return {
    kind: 'socketio',
    line,
    emit: { event: emit.event, payload: emit.json },
    ack: parseJson(ack.json, line),
    events: events.map(({ event, json }) => ({ event, data: parseJson(json, line) })),
  };
}

function parseJson(text: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`docs/PROTOCOL.md:${line}: not JSON: ${text}`, { cause });
  }
}
