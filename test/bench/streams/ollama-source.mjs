/**
 * A paced source of tokens: a program that speaks Ollama's API on a real socket, for measuring what carries the tokens on.
 *   node ollama-source.mjs [--port 0] [--streams 1024]      streams at once; more are refused as a busy Ollama does
 * Knobs of each answer, in the request's `options`:
 *   num_predict         tokens (100)
 *   tokens_per_second   (100); 0: as fast as the reader takes them
 *   token_text          what stands after number and time in each token ("")
 *   hold_at             waits before this token (counted from 0) until POST /bench/release
 * GET /bench/digest?prompt=… tells the SHA-256 of the last answer to that prompt. It ends with its parent's channel.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { machineNow, tokenText } from './tokens.mjs';

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' }, streams: { type: 'string', default: '1024' } } });
const MODEL = { name: 'paced:latest', model: 'paced:latest', size: 10, digest: 'sha256:0', modified_at: '2026-01-01T00:00:00Z' };
const TICK_MS = 1;
/** Tokens between two looks at whether the reader keeps up, where no pace is set. */
const BURST = 50;

const live = new Set();
const digests = new Map();
let ticker;
/** A model that was asked is in memory, as an engine's is. */
let asked = false;

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://source');
  const chunks = await request.toArray();
  const json = (value) => response.end(JSON.stringify(value));
  switch (pathname) {
    case '/api/version': return json({ version: '0.9.9' });
    case '/api/tags': return json({ models: [MODEL] });
    case '/api/ps': return json({ models: asked ? [MODEL] : [] });
    case '/api/generate': return void generate(JSON.parse(Buffer.concat(chunks).toString()), response, (text) => ({ response: text }));
    case '/api/chat': return void generate(promptOf(JSON.parse(Buffer.concat(chunks).toString())), response, (content) => ({ message: { role: 'assistant', content } }));
    case '/bench/release': return json({ released: release() });
    case '/bench/digest': return json({ sha256: digests.get(searchParams.get('prompt')) });
    default: return void response.writeHead(404).end('404 page not found');
  }
});

const promptOf = ({ messages, ...body }) => ({ ...body, prompt: messages.at(-1).content });

function generate({ prompt, options = {} }, response, said) {
  if (live.size >= Number(values.streams)) return void response.writeHead(503).end(JSON.stringify({ error: 'server busy, please try again' }));
  const { num_predict: tokens = 100, tokens_per_second: rate = 100, token_text: pad = '', hold_at: holdAt = -1 } = options;
  asked = true;
  const stream = { prompt, response, said, tokens, rate, pad, holdAt, sent: 0, held: false, startedAt: machineNow(), startedFrom: 0, hash: createHash('sha256') };
  response.socket.setNoDelay(true);
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  live.add(stream);
  response.on('close', () => live.delete(stream));
  hold(stream);
  if (rate === 0) void pour(stream);
  else ticker ??= setInterval(tick, TICK_MS);
}

function tick() {
  const now = machineNow();
  for (const stream of live) {
    if (stream.held || stream.rate === 0) continue;
    const due = stream.startedFrom + Math.floor(((now - stream.startedAt) * stream.rate) / 1_000);
    while (!stream.held && stream.sent < due && live.has(stream)) emit(stream);
  }
  if (live.size > 0) return;
  clearInterval(ticker);
  ticker = undefined;
}

async function pour(stream) {
  while (live.has(stream)) {
    for (let i = 0; i < BURST && !stream.held && live.has(stream); i++) emit(stream);
    if (stream.held) await new Promise((resolve) => (stream.resume = resolve));
    else if (stream.response.writableNeedDrain) await Promise.race([once(stream.response, 'drain'), once(stream.response, 'close')]);
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

function emit(stream) {
  const { response, prompt, said } = stream;
  const text = tokenText(stream.sent++, stream.pad);
  stream.hash.update(text);
  response.write(`${JSON.stringify({ model: MODEL.name, ...said(text), done: false })}\n`);
  if (stream.sent === stream.tokens) {
    digests.set(prompt, stream.hash.digest('hex'));
    live.delete(stream);
    response.end(`${JSON.stringify({ model: MODEL.name, ...said(''), done: true, done_reason: 'stop', eval_count: stream.tokens })}\n`);
  } else {
    hold(stream);
  }
}

function hold(stream) {
  stream.held = stream.sent === stream.holdAt;
}

/** Lets every held answer go on, spread over one token's time, so that streams do not beat together. */
function release() {
  const held = [...live].filter((stream) => stream.held);
  for (const [index, stream] of held.entries()) {
    stream.held = false;
    stream.holdAt = -1;
    stream.startedAt = machineNow() + ((index / held.length) * 1_000) / (stream.rate || Infinity);
    stream.startedFrom = stream.sent;
    stream.resume?.();
  }
  return held.length;
}

server.listen(Number(values.port), '127.0.0.1', () => process.send?.({ url: `http://127.0.0.1:${server.address().port}` }));
process.on('disconnect', () => process.exit());
