/** How many messages a second pass through the embedded broker, beside nats-server on the same machine in the same run. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '@nats-io/transport-node';
import { startBroker } from '../../dist/libs/broker/index.js';

const NATS_SERVER = '/usr/sbin/nats-server';
const MESSAGES = 100_000;
const PAYLOAD_BYTES = 128;
const REQUESTS = 2000;
/** Messages published before the client lets its socket write: about one second of the fastest token stream. */
const BATCH = 1000;

/** Prints both and answers the figures: messages/s, and the median request/reply round trip in microseconds. */
export async function run() {
  const figures = { broker: await measureBroker(), 'nats-server': await measureServer() };
  for (const [name, figure] of Object.entries(figures)) {
    if (figure === undefined) console.log(`${name.padEnd(12)} not installed at ${NATS_SERVER}: no baseline`);
    else {
      console.log(`${name.padEnd(12)} ${figure.perSecond.toLocaleString('en').padStart(9)} messages/s (${PAYLOAD_BYTES} bytes, ${MESSAGES} messages)`
        + `   request/reply median ${figure.roundTripMicros.toFixed(0)} µs`);
    }
  }
  return figures;
}

/** The broker runs in a process of its own: sharing the client's would measure the client. */
async function measureBroker() {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = await child.stdout.take(1).toArray();
    return await measure(String(line).trim());
  } finally {
    await stop(child);
  }
}

async function measureServer() {
  if (!existsSync(NATS_SERVER)) return undefined;
  const port = await freePort();
  const child = spawn(NATS_SERVER, ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  try {
    return await measure(`nats://127.0.0.1:${port}`);
  } finally {
    await stop(child);
  }
}

async function measure(url) {
  const [publisher, subscriber] = await Promise.all([connectPatiently(url), connectPatiently(url)]);
  await passMessages(publisher, subscriber, MESSAGES / 10); // warm-up
  const rates = [];
  for (let round = 0; round < 3; round += 1) rates.push(await passMessages(publisher, subscriber, MESSAGES));
  const roundTripMicros = await requestReply(publisher, subscriber);
  await Promise.all([publisher.close(), subscriber.close()]);
  return { perSecond: Math.round(median(rates)), roundTripMicros };
}

async function passMessages(publisher, subscriber, count) {
  let received = 0;
  const all = new Promise((resolve) => {
    subscriber.subscribe('bench.frames', { max: count, callback: () => { if ((received += 1) === count) resolve(); } });
  });
  await subscriber.flush();
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(120);
  const start = process.hrtime.bigint();
  for (let sent = 0; sent < count; sent += 1) {
    publisher.publish('bench.frames', payload);
    if (sent % BATCH === BATCH - 1) await publisher.flush();
  }
  await all;
  return count / (Number(process.hrtime.bigint() - start) / 1e9);
}

async function requestReply(requester, responder) {
  const subscription = responder.subscribe('bench.echo', { callback: (_, message) => message.respond(message.data) });
  await responder.flush();
  const times = [];
  for (let round = 0; round < REQUESTS; round += 1) {
    const start = process.hrtime.bigint();
    await requester.request('bench.echo', 'x', { timeout: 2000 });
    times.push(Number(process.hrtime.bigint() - start) / 1000);
  }
  subscription.unsubscribe();
  return median(times);
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function connectPatiently(url) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await connect({ servers: url });
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(100);
    }
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function stop(child) {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await gone;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === 'serve') {
    const broker = await startBroker();
    console.log(broker.url);
    process.once('SIGTERM', () => broker.close());
  } else {
    await run();
  }
}
