// One stream through the mesh (gateway, SSE) against the same request straight to the engine, in turn: what the mesh adds.
import { distribution, median, report } from './figures.mjs';
import { startMesh, temporaryFolder } from './mesh.mjs';

const PAIRS = 200;
/** Pairs that do not count: code that has seldom run is slow, and the mesh has more of it. */
const WARM_UP = 60;
const QUESTION = 'Tell me a short story.';

export async function run() {
  const { folder, remove } = await temporaryFolder();
  const mesh = await startMesh(folder);
  try {
    const { nodes } = await (await fetch(`${mesh.url}/engine`)).json();
    const direct = () => throughEngine(nodes[0].url);
    const relayed = () => throughMesh(mesh.url);
    for (let i = 0; i < WARM_UP; i++) {
      await direct();
      await relayed();
    }
    const baseline = [];
    const measured = [];
    for (let i = 0; i < PAIRS; i++) {
      // Which goes first alternates, so that neither profits from the other's warmth.
      if (i % 2) measured.push(await relayed());
      baseline.push(await direct());
      if (!(i % 2)) measured.push(await relayed());
    }
    const first = (samples) => samples.map(({ firstMs }) => firstMs);
    const rate = (samples) => samples.map(({ tokensPerSecond }) => tokensPerSecond);
    const added = median(first(measured)) - median(first(baseline));
    const share = median(rate(measured)) / median(rate(baseline));
    console.log(`${PAIRS} pairs of requests in turn, ${baseline[0].tokens} tokens each`);
    report('time to first token, engine (baseline), ms', distribution(first(baseline), 2));
    report('time to first token, mesh, ms', distribution(first(measured), 2));
    report('added at the median, ms', added.toFixed(2), { text: '≤ 5 ms', met: added <= 5 });
    console.log('tokens/s: tokens after the first ÷ time from the first to the end, as the client sees them');
    report('tokens/s, engine (baseline)', distribution(rate(baseline), 0));
    report('tokens/s, mesh', distribution(rate(measured), 0));
    report('share at the median', `${(share * 100).toFixed(1)} %`, { text: '≥ 97 %', met: share >= 0.97 });
  } finally {
    await mesh.stop();
    await remove();
  }
}

async function throughEngine(url) {
  return measure(`${url}/api/generate`, { model: 'guide', prompt: QUESTION }, {}, (text) => ({
    token: text.includes('"done":false'),
    tokens: Number(/"eval_count":(\d+)/.exec(text)?.[1]),
  }));
}

async function throughMesh(url) {
  return measure(`${url}/streams`, { model: 'guide', prompt: QUESTION }, { accept: 'text/event-stream' }, (text) => ({
    token: text.includes('event: delta') || /"parts":\[\{/.test(text),
    tokens: Number(/"eval_count":(\d+)/.exec(text)?.[1]),
  }));
}

/** Time from the request to the first token and to the end, as a client sees it. */
async function measure(url, body, headers, read) {
  const startedAt = performance.now();
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  const decoder = new TextDecoder();
  let firstAt;
  let last = '';
  for await (const chunk of response.body) {
    last = (last + decoder.decode(chunk, { stream: true })).slice(-4_000);
    if (firstAt === undefined && read(last).token) firstAt = performance.now();
  }
  const endedAt = performance.now();
  const { tokens } = read(last);
  if (!(tokens > 0) || firstAt === undefined) throw new Error(`${url} gave no complete answer: ${last.slice(-200)}`);
  return { firstMs: firstAt - startedAt, tokens, tokensPerSecond: (tokens - 1) / ((endedAt - firstAt) / 1_000) };
}
