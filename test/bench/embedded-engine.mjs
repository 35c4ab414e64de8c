/** How fast the embedded engine starts and answers, beside the bare binding doing the same in a process of its own. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median, report } from './figures.mjs';

const ROOT = join(fileURLToPath(import.meta.url), '../../..');
const MAIN = join(ROOT, 'dist/apps/embedded-engine/main.js');
const MODEL = join(ROOT, 'apps/embedded-engine/models/guide.gguf');
/** Answered with 38 tokens: what a request costs beside its tokens; and with 293: a stream. */
const QUESTION = 'What is NATS?';
const STORY = 'Tell me a short story.';
const STARTS = 3;
const WARM = 30;
/** Streams per measurement of tokens/s, in turn or four at a time. */
const STREAMS = 40;
/** Engine and bare binding take turns so often: whatever else the machine does meets both. */
const ROUNDS = 5;

/** Prints one line per figure. */
export async function run() {
  const starts = [];
  for (let i = 0; i < STARTS; i += 1) starts.push(await cold());
  report('engine: spawn to listening (median of 3)', `${median(starts.map((start) => start.listening)).toFixed(0)} ms`);
  const firstAnswer = median(starts.map((start) => start.firstToken));
  report('engine: spawn to first answer (median of 3)', `${firstAnswer.toFixed(0)} ms`, { text: '≤ 1500 ms', met: firstAnswer <= 1_500 });

  const engine = await start();
  const bare = startBare();
  try {
    const idle = await rss(engine.child.pid);
    report('engine: idle memory before the first model', `${idle.toFixed(0)} MB`, { text: '≤ 150 MB', met: idle <= 150 });
    await chat(engine.url);
    const [mine, its] = [[], []];
    for (let i = 0; i < WARM; i += 1) {
      mine.push((await chat(engine.url)).firstToken);
      its.push(await bare.ask({ what: 'first' }));
    }
    const more = median(mine) - median(its);
    report('engine: warm time to first token (median of 30)', `${median(mine).toFixed(1)} ms, bare binding ${median(its).toFixed(1)} ms`, { text: '≤ binding + 5 ms', met: more <= 5 });
    await compare('one stream, 293 tokens', engine.url, bare, STORY, 1, 0.95);
    await compare('four streams in sum, 293 tokens', engine.url, bare, STORY, 4, 0.9);
    await compare('one after the other, 38 tokens each', engine.url, bare, QUESTION, 1);
    await compare('four at a time, 38 tokens each', engine.url, bare, QUESTION, 4);
    report('engine: memory with the model loaded and idle', `${(await rss(engine.child.pid)).toFixed(0)} MB`);
  } finally {
    bare.stop();
    await engine.stop();
  }
}

/** Tokens per second of both in turn; the share is the median of the rounds' shares. */
async function compare(what, url, bare, question, width, target) {
  const rounds = [];
  for (let i = 0; i < ROUNDS; i += 1) {
    const mine = await rate(url, question, width);
    const its = await bare.ask({ what: 'rate', question, width });
    rounds.push({ mine, its, share: mine / its });
  }
  const share = median(rounds.map((round) => round.share));
  const figures = `${median(rounds.map((round) => round.mine)).toFixed(0)} tokens/s, bare binding ${median(rounds.map((round) => round.its)).toFixed(0)}, ${(100 * share).toFixed(0)} %`;
  report(`engine: ${what} (median of ${ROUNDS})`, figures, target && { text: `≥ ${100 * target} %`, met: share >= target });
}

/** The bare binding in a process of its own, asked for one figure at a time. */
function startBare() {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--bare'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ended = new Promise((_, reject) => child.once('exit', (code) => reject(new Error(`the bare binding ended with code ${code}`))));
  ended.catch(() => undefined);
  return {
    ask: (question) => {
      const answer = new Promise((resolve) => child.once('message', resolve));
      child.send(question);
      return Promise.race([answer, ended]);
    },
    stop: () => child.kill('SIGKILL'),
  };
}

async function start() {
  const store = await mkdtemp(join(tmpdir(), 'ollamesh-bench-'));
  const began = performance.now();
  const child = spawn(process.execPath, [MAIN, '--store', store], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const { url } = await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`the engine ended with code ${code}; is dist built?`)));
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    await rm(store, { recursive: true, force: true });
  };
  return { child, url, began, listening: performance.now() - began, stop };
}

async function cold() {
  const engine = await start();
  try {
    const { at } = await chat(engine.url);
    return { listening: engine.listening, firstToken: at - engine.began };
  } finally {
    await engine.stop();
  }
}

/** One streamed answer: when its first line came, and how many tokens it had. */
async function chat(url, question = QUESTION) {
  const began = performance.now();
  const response = await fetch(`${url}/api/chat`, { method: 'POST', body: JSON.stringify({ model: 'guide', messages: [{ role: 'user', content: question }] }) });
  if (!response.ok) throw new Error(`the engine answered ${response.status}: ${await response.text()}`);
  let at;
  let tail = '';
  for await (const chunk of response.body) {
    at ??= performance.now();
    tail = (tail + Buffer.from(chunk).toString('latin1')).slice(-2_000);
  }
  return { at, firstToken: at - began, tokens: Number(/"eval_count":(\d+)/.exec(tail)?.[1]) };
}

/** Tokens per second of STREAMS answers, `width` at a time. */
async function rate(url, question, width) {
  return measured(width, async () => (await chat(url, question)).tokens);
}

async function measured(width, one) {
  let left = STREAMS;
  let tokens = 0;
  const began = performance.now();
  const worker = async (index) => {
    while (left > 0) {
      left -= 1;
      // Not `tokens += await …`: that reads the sum before the wait and loses what others add meanwhile.
      const more = await one(index);
      tokens += more;
    }
  };
  await Promise.all(Array.from({ length: width }, (_, index) => worker(index)));
  return tokens / ((performance.now() - began) / 1_000);
}

/** Resident memory in MB; 0 where /proc is missing. */
async function rss(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'VmRSS: 0 kB');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}

/** The same answers from the binding alone: same prompt, prefix kept, token to text, no HTTP. */
async function bare() {
  const { getLlama, JinjaTemplateChatWrapper, LlamaLogLevel } = await import('node-llama-cpp');
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath: MODEL });
  const context = await model.createContext({ contextSize: 1_024, sequences: 4, threads: 1 });
  const wrapper = new JinjaTemplateChatWrapper({ template: model.fileInfo.metadata.tokenizer.chat_template, tokenizer: model.tokenizer });
  const promptOf = (question) => {
    const { contextText } = wrapper.generateContextState({ chatHistory: [{ type: 'user', text: question }, { type: 'model', response: [] }] });
    return [model.tokens.bos, ...contextText.tokenize(model.tokenizer)];
  };
  const prompts = new Map([QUESTION, STORY].map((question) => [question, promptOf(question)]));
  const sequences = Array.from({ length: 4 }, () => context.getSequence());
  const answer = async (index, question = QUESTION) => {
    const prompt = prompts.get(question);
    const began = performance.now();
    let firstToken;
    const sequence = sequences[index];
    await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
    let tokens = 1;
    for await (const token of sequence.evaluate(prompt.slice(sequence.nextTokenIndex), { temperature: 0 })) {
      model.detokenize([token]);
      firstToken ??= performance.now() - began;
      tokens += 1;
    }
    return { tokens, firstToken };
  };
  await answer(0);
  process.on('message', async ({ what, question, width }) => {
    process.send(what === 'first' ? (await answer(0)).firstToken : await measured(width, async (index) => (await answer(index, question)).tokens));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await (process.argv.includes('--bare') ? bare() : run());
