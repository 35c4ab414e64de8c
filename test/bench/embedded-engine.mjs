/** How fast the embedded engine starts and answers, beside the bare binding doing the same in a process of its own. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = join(fileURLToPath(import.meta.url), '../../..');
const MAIN = join(ROOT, 'dist/apps/embedded-engine/main.js');
const MODEL = join(ROOT, 'apps/embedded-engine/models/guide.gguf');
const QUESTION = 'What is NATS?';
const STARTS = 3;
const WARM = 30;
/** Streams per measurement of tokens/s, in turn or four at a time. */
const STREAMS = 40;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Prints one line per figure. */
export async function run() {
  const starts = [];
  for (let i = 0; i < STARTS; i += 1) starts.push(await cold());
  say('spawn to listening (median of 3)', median(starts.map((start) => start.listening)), 'ms');
  say('spawn to first token (median of 3)', median(starts.map((start) => start.firstToken)), 'ms');

  const engine = await start();
  try {
    say('idle memory before the first model', await rss(engine.child.pid), 'MB');
    await chat(engine.url);
    const firsts = [];
    for (let i = 0; i < WARM; i += 1) firsts.push((await chat(engine.url)).firstToken);
    say('warm time to first token (median of 30)', median(firsts), 'ms');
    const one = await rate(engine.url, 1);
    const four = await rate(engine.url, 4);
    const bare = JSON.parse((await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), '--bare'])).stdout);
    say('one stream', one, `tokens/s (bare binding ${bare.one.toFixed(0)}, ${((100 * one) / bare.one).toFixed(0)} %)`);
    say('four streams in sum', four, `tokens/s (bare binding ${bare.four.toFixed(0)}, ${((100 * four) / bare.four).toFixed(0)} %)`);
    say('memory with the model loaded and idle', await rss(engine.child.pid), 'MB');
  } finally {
    await engine.stop();
  }
}

function say(what, value, unit) {
  process.stdout.write(`  ${what.padEnd(44)} ${value.toFixed(value < 10 ? 1 : 0).padStart(6)} ${unit}\n`);
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
async function chat(url) {
  const began = performance.now();
  const response = await fetch(`${url}/api/chat`, { method: 'POST', body: JSON.stringify({ model: 'guide', messages: [{ role: 'user', content: QUESTION }] }) });
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
async function rate(url, width) {
  return measured(width, async () => (await chat(url)).tokens);
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
  const { contextText } = wrapper.generateContextState({ chatHistory: [{ type: 'user', text: QUESTION }, { type: 'model', response: [] }] });
  const prompt = [model.tokens.bos, ...contextText.tokenize(model.tokenizer)];
  const sequences = Array.from({ length: 4 }, () => context.getSequence());
  const answer = async (index) => {
    const sequence = sequences[index];
    await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
    let tokens = 1;
    for await (const token of sequence.evaluate(prompt.slice(sequence.nextTokenIndex), { temperature: 0 })) {
      model.detokenize([token]);
      tokens += 1;
    }
    return tokens;
  };
  await measured(1, answer);
  process.stdout.write(JSON.stringify({ one: await measured(1, answer), four: await measured(4, answer) }));
  process.exit(0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await (process.argv.includes('--bare') ? bare() : run());
