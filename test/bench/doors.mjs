// What the OpenAI door adds to a chat, beside the same chats straight from the source; and how many small requests a core answers.
import { createServer } from 'node:http';
import { Agent, request } from 'undici';
import { distribution, median, quantile, report } from './figures.mjs';
import { startMeshApart } from './streams/mesh-apart.mjs';
import { cpuSeconds } from './streams/processes.mjs';
import { machineNow, tokensOf } from './streams/tokens.mjs';

const CLIENTS = 16;
const CHATS_OF_EACH = 3;
const ANSWER = { num_predict: 60, tokens_per_second: 50 };
const CHAT_MS = (ANSWER.num_predict / ANSWER.tokens_per_second) * 1_000;
/** Both take turns; figures are medians over the rounds. One more goes before them: code that has not run yet is slow. */
const ROUNDS = 5;
const LISTS_PER_SECOND = 1_000;
const LISTS_SECONDS = 8;

export async function run() {
  const mesh = await startMeshApart();
  try {
    await chats(mesh);
    await lists(mesh);
  } finally {
    await mesh.stop();
  }
}

async function chats(mesh) {
  const [direct, own, door] = [[], [], []];
  const tokens = CLIENTS * CHATS_OF_EACH * ANSWER.num_predict;
  const cpuOf = async (pid, work) => {
    const { all: before } = await cpuSeconds(pid);
    const result = await work();
    return { result, micros: (((await cpuSeconds(pid)).all - before) * 1e6) / tokens };
  };
  const cpu = { source: [], own: [], door: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    const atSource = await cpuOf(mesh.source.pid, () => together(() => askSource(mesh.source.url)));
    const atOwn = await cpuOf(mesh.gateway.pid, () => together(() => askStreams(mesh.url)));
    const atDoor = await cpuOf(mesh.gateway.pid, () => together(() => askDoor(mesh.url)));
    direct.push(atSource.result);
    own.push(atOwn.result);
    door.push(atDoor.result);
    cpu.source.push(atSource.micros);
    cpu.own.push(atOwn.micros);
    cpu.door.push(atDoor.micros);
  }
  for (const rounds of [direct, own, door, ...Object.values(cpu)]) rounds.shift();
  const p99 = (rounds, what) => median(rounds.map((round) => quantile(round[what], 0.99)));
  report(`baseline: ${CLIENTS} chats at once at the source, ms`, `token ${distribution(direct.at(-1).token, 2)}`);
  report(`baseline: ${CLIENTS} chats at once through /streams, ms`, `token ${distribution(own.at(-1).token, 2)}`);
  report(`${CLIENTS} chats at once through /v1, ms`, `token ${distribution(door.at(-1).token, 2)}`);
  const added = p99(door, 'token') - p99(direct, 'token');
  report('  added to a token at p99, ms', added.toFixed(2), { text: '≤ 3 ms', met: added <= 3 });
  report('  added to the first token at p50 and p99, ms', [0.5, 0.99].map((share) => (median(door.map(({ first }) => quantile(first, share))) - median(direct.map(({ first }) => quantile(first, share)))).toFixed(2)).join(', '));
  report('  CPU per token, µs, its chat included', `gateway ${median(cpu.door).toFixed(0)}; through /streams ${median(cpu.own).toFixed(0)}; the source itself ${median(cpu.source).toFixed(0)}`);
}

/** Latencies of tokens, from the source's write to here, and of first tokens, from the question. */
async function together(ask) {
  const seen = { token: [], first: [] };
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      await new Promise((resolve) => setTimeout(resolve, (client / CLIENTS) * CHAT_MS)); // People don't all ask at once.
      for (let chat = 0; chat < CHATS_OF_EACH; chat++) {
        const askedAt = machineNow();
        let first = true;
        let tokens = 0;
        for await (const text of ask()) {
          const now = machineNow();
          if (first) seen.first.push(now - askedAt);
          first = false;
          for (const { emittedAt } of tokensOf(text)) {
            seen.token.push(now - emittedAt);
            tokens++;
          }
        }
        if (tokens !== ANSWER.num_predict) throw new Error(`${tokens} tokens came, ${ANSWER.num_predict} were sent.`);
      }
    }),
  );
  return seen;
}

const agent = new Agent({ connections: CLIENTS });
let asked = 0;
const ownQuestion = () => JSON.stringify({ model: 'paced', messages: [{ role: 'user', content: `question ${++asked}` }], options: ANSWER });
const question = () => JSON.stringify({ model: 'paced', stream: true, messages: [{ role: 'user', content: `question ${++asked}` }], options: ANSWER });

async function* askSource(url) {
  for await (const line of linesOf(`${url}/api/chat`, '\n')) {
    const { message, done } = JSON.parse(line);
    if (!done) yield message.content;
  }
}

/** The gateway's own Server-Sent Events. */
async function* askStreams(url) {
  for await (const event of linesOf(`${url}/streams`, '\n\n', { accept: 'text/event-stream' })) {
    const data = /^event: (?:snapshot|delta)\ndata: (.*)$/m.exec(event)?.[1];
    const text = data && JSON.parse(data).parts.map((part) => part.text).join('');
    if (text) yield text;
  }
}

async function* askDoor(url) {
  for await (const event of linesOf(`${url}/v1/chat/completions`, '\n\n')) {
    if (!event.startsWith('data: {')) continue;
    const { choices, error } = JSON.parse(event.slice(6));
    if (error) throw new Error(error.message);
    if (choices[0].delta.content) yield choices[0].delta.content;
  }
}

async function* linesOf(url, separator, headers = {}) {
  const { statusCode, body } = await request(url, { method: 'POST', headers, body: headers.accept ? ownQuestion() : question(), dispatcher: agent });
  if (statusCode >= 300) throw new Error(`Status ${statusCode}: ${await body.text()}`);
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + chunk).split(separator);
    rest = lines.pop();
    yield* lines;
  }
}

async function lists(mesh) {
  const { body } = await request(`${mesh.url}/v1/models`);
  const text = await body.text();
  const plain = createServer((_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(text));
  await new Promise((resolve) => plain.listen(0, '127.0.0.1', resolve));
  report(`baseline: ${LISTS_PER_SECOND} requests/s of a plain Node server, ms`, distribution((await paced(`http://127.0.0.1:${plain.address().port}/`)).latencies, 2));
  plain.closeAllConnections();
  plain.close();
  for (const path of ['/v1/models', '/models']) {
    const { all: before } = await cpuSeconds(mesh.gateway.pid);
    const { latencies, errors, seconds } = await paced(`${mesh.url}${path}`);
    const cpu = (await cpuSeconds(mesh.gateway.pid)).all - before;
    report(`${LISTS_PER_SECOND} requests/s of ${path}, ms`, distribution(latencies, 2));
    report('  answered a second, errors', `${(latencies.length / seconds).toFixed(0)}, ${errors}`, { text: `${LISTS_PER_SECOND}/s, none`, met: errors === 0 && latencies.length / seconds > LISTS_PER_SECOND * 0.99 });
    report('  gateway CPU per request, µs; of a core', `${((cpu * 1e6) / latencies.length).toFixed(0)}; ${((cpu / seconds) * 100).toFixed(0)} %`, { text: '≤ one core', met: cpu / seconds <= 1 });
  }
}

/** Asks at an even pace, whether the answers keep up or not. */
async function paced(url) {
  const dispatcher = new Agent({ connections: 32 });
  const latencies = [];
  let errors = 0;
  const pending = new Set();
  const startedAt = performance.now();
  for (let sent = 0; sent < LISTS_PER_SECOND * LISTS_SECONDS; ) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * LISTS_PER_SECOND);
    for (; sent < due; sent++) {
      const at = performance.now();
      const asking = request(url, { dispatcher })
        .then(async ({ statusCode, body }) => {
          await body.dump();
          if (statusCode !== 200) errors++;
          latencies.push(performance.now() - at);
        }, () => errors++)
        .finally(() => pending.delete(asking));
      pending.add(asking);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(pending);
  const seconds = (performance.now() - startedAt) / 1_000;
  await dispatcher.close();
  return { latencies, errors, seconds };
}
