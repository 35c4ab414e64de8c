/** An Ollama of three models whose answers take their time: thinking, a tool, markdown with traps in it, and a pull with progress. */
import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const PIECE_MS = 25;
const LAYER_BYTES = 40_000_000;

/** Text with everything that must not run, be loaded or leave the page, and one block of code that must survive. */
export const TRAPS = [
  '## Traps',
  '<img src=x onerror="window.trapped=1"> and <script>window.trapped=2</script>',
  '[a link](javascript:window.trapped=3) and [a good one](https://example.org/)',
  '![a picture](https://example.org/p.png)',
  '<div style="position:fixed" onclick="window.trapped=4">a box</div>',
  '```js\nconst answer = 42;\n```',
  '| a | b |\n|---|---|\n| 1 | 2<br>3 |',
].join('\n\n');
export const LONG = Array.from({ length: 120 }, (_, index) => `word${index}`).join(' ');

type Line = { content?: string; thinking?: string; tool_calls?: object[] };

/** What is said to a question, by a word in it. */
function linesFor(question: string): Line[] {
  const spoken = (text: string) => (text.match(/\S+\s*/g) ?? []).map((content) => ({ content }));
  if (question.includes('traps')) return spoken(TRAPS);
  if (question.includes('long')) return spoken(LONG);
  if (question.includes('think')) return [{ thinking: 'Let me ' }, { thinking: 'see.' }, ...spoken('It is **seven**.')];
  if (question.includes('tool')) return [{ content: 'One moment.' }, { tool_calls: [{ function: { name: 'get_weather', arguments: { city: 'Bern' } } }] }];
  return spoken(`You said: ${question}`);
}

export interface SlowOllama {
  readonly url: string;
  /** The bodies of the chats it was asked for, oldest first. */
  readonly chats: { messages: { role: string; content: string }[]; model: string }[];
  /** The next chat is answered with this status and error. */
  failNext(status: number, error: string): void;
  /** Answers stop after so many pieces, until the returned function is called. */
  holdAfter(pieces: number): () => void;
  close(): Promise<void>;
}

export async function slowOllama(): Promise<SlowOllama> {
  const models = ['slow:latest', 'other:latest'];
  const chats: SlowOllama['chats'] = [];
  let held: { pieces: number; released: Promise<void> } | undefined;
  let failure: { status: number; error: string } | undefined;

  const send = (response: ServerResponse, status: number, body: object) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const lines = async (response: ServerResponse, all: object[]) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const [index, line] of all.entries()) {
      if (index === held?.pieces) await held.released;
      if (response.destroyed) return;
      response.write(`${JSON.stringify(line)}\n`);
      await sleep(PIECE_MS);
    }
    response.end();
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const body = request.method === 'POST' ? ((await json(request)) as never) : undefined;
    switch (request.url) {
      case '/api/version':
        return send(response, 200, { version: '0.99.0' });
      case '/api/tags':
        return send(response, 200, { models: models.map((name) => ({ name, digest: 'd1', size: 1_000, modified_at: '2026-01-01T00:00:00Z', capabilities: ['completion'] })) });
      case '/api/ps':
        return send(response, 200, { models: [] });
      case '/api/show':
        return send(response, 200, { capabilities: ['completion'], details: {}, model_info: {} });
      case '/api/pull': {
        const { model } = body as unknown as { model: string };
        models.push(model); // Listed a little early, which nobody looks at before the end.
        const layer = Array.from({ length: 40 }, (_, step) => ({ status: 'pulling d2', digest: 'd2', total: LAYER_BYTES, completed: (step + 1) * (LAYER_BYTES / 40) }));
        await lines(response, [{ status: 'pulling manifest' }, ...layer, { status: 'success' }]);
        return;
      }
      case '/api/chat': {
        const chat = body as unknown as SlowOllama['chats'][number];
        chats.push(chat);
        if (failure) {
          const { status, error } = failure;
          failure = undefined;
          return send(response, status, { error });
        }
        const said = linesFor(chat.messages.at(-1)?.content ?? '').map((message) => ({ model: chat.model, message: { role: 'assistant', content: '', ...message }, done: false }));
        const end = { model: chat.model, message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop', eval_count: said.length, eval_duration: 1e9 };
        return lines(response, [...said, end]);
      }
      default:
        return send(response, 404, { error: 'not found' });
    }
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((thrown: unknown) => response.destroy(thrown as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    chats,
    failNext: (status, error) => (failure = { status, error }),
    holdAfter(pieces) {
      let release = () => {};
      held = { pieces, released: new Promise((resolve) => (release = resolve)) };
      return () => {
        held = undefined;
        release();
      };
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
