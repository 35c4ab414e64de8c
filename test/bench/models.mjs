/** What models cost the mesh: telling of a pull, choosing a node, and waiting in turn; each beside the plainest thing that does the same. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { distribution, median, report } from './figures.mjs';
import { ROOT, startMesh, temporaryFolder } from './mesh.mjs';

const LINES_PER_SECOND = 1_000;
const WATCHERS = 100;
const SECONDS = 8;
const NODES = 100;
const MODELS = 50;
const QUEUED = 10_000;
const CLIENTS = 200;
/** Linux counts processor time in hundredths of a second. */
const TICKS_PER_SECOND = 100;

export async function run() {
  await pulls();
  await choices();
  await turns();
}

async function pulls() {
  const engine = await startEngine();
  const { folder, remove } = await temporaryFolder();
  const url = `http://127.0.0.1:${engine.port}`;
  const mesh = await startMesh(folder, [process.execPath, join(ROOT, 'dist/apps/cli/main.js'), 'up', '--json', '--engine', 'external', '--engine-url', url]);
  const plain = await startPlain(url);
  try {
    let [told, idleShare] = [0, 0];
    const leave = await watch(`${mesh.url}/events`, (chunk) => (told += chunk.toString().split('event: pull').length - 1));
    idleShare = await shareOf(mesh.pid);
    told = 0;
    await fetch(`${mesh.url}/models/pull`, { method: 'POST', body: JSON.stringify({ model: 'bench' }) });
    await sleep(500);
    const share = await shareOf(mesh.pid);
    leave();
    const ended = await watch(plain.url, () => undefined);
    await sleep(500);
    const plainShare = await shareOf(plain.pid);
    ended();
    const cost = share - idleShare;
    report(`pull: ${LINES_PER_SECOND} lines/s, ${WATCHERS} watchers`, `${(100 * cost).toFixed(1)} % of a core (${(told / WATCHERS / (SECONDS + 0.5)).toFixed(1)} events/s each); idle ${(100 * idleShare).toFixed(1)} %; every line to everyone: ${(100 * plainShare).toFixed(0)} %`, { text: '≤ 5 %', met: cost <= 0.05 });
  } finally {
    plain.stop();
    await mesh.stop();
    await remove();
    engine.close();
  }
}

/** An Ollama that reports a thousand times a second on a pull that does not end. */
async function startEngine() {
  const server = createServer((request, response) => {
    if (request.url === '/api/version') return response.end('{"version":"0.9.9"}');
    if (request.url !== '/api/pull') return response.end('{"models":[]}');
    let completed = 0;
    const timer = setInterval(() => {
      let text = '';
      for (let line = 0; line < LINES_PER_SECOND / 100; line++) text += `{"status":"pulling abcdef123456","digest":"sha256:abc","total":1000000000,"completed":${(completed += 1_000)}}\n`;
      response.write(text);
    }, 10);
    response.on('close', () => clearInterval(timer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port, close: () => { server.closeAllConnections(); server.close(); } };
}

/** A server that passes every line on to everyone who listens. */
async function startPlain(engineUrl) {
  const code = `
    import { createServer, request } from 'node:http';
    const listeners = new Set();
    createServer((_request, response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders(); listeners.add(response); }).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
    request('${engineUrl}/api/pull', { method: 'POST' }, async (pull) => {
      let rest = '';
      for await (const chunk of pull) {
        const lines = (rest + chunk).split('\\n');
        rest = lines.pop();
        for (const line of lines) for (const listener of listeners) listener.write('event: pull\\ndata: ' + JSON.stringify(JSON.parse(line)) + '\\n\\n');
      }
    }).end();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = await once(child.stdout, 'data');
  return { url: `http://127.0.0.1:${String(port).trim()}/`, pid: child.pid, stop: () => child.kill('SIGKILL') };
}

async function watch(url, take) {
  const requests = await Promise.all(Array.from({ length: WATCHERS }, async () => {
    const request = get(url, { agent: false, headers: { accept: 'text/event-stream' } });
    const [response] = await once(request, 'response');
    response.on('data', take).on('error', () => undefined);
    return request.on('error', () => undefined);
  }));
  return () => requests.forEach((request) => request.destroy());
}

/** The share of a core that a process takes. */
async function shareOf(pid) {
  const [before, begun] = [await ticksOf(pid), performance.now()];
  await sleep(SECONDS * 1_000);
  return ((await ticksOf(pid)) - before) / TICKS_PER_SECOND / ((performance.now() - begun) / 1_000);
}

async function ticksOf(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

async function choices() {
  const { Placement } = await import(join(ROOT, 'dist/libs/placement/index.js'));
  const placement = new Placement('node-0');
  const statuses = Array.from({ length: NODES }, (_node, index) => ({
    node: `node-${index}`, engine: 'ready', parallel: 4, running: index % 7, waiting: index % 5,
    models: Array.from({ length: MODELS }, (_model, model) => ({ name: `model-${(index + model) % 200}:latest`, state: (index + model) % 3 === 0 ? 'resident' : 'on-disk', running: index % 5, waiting: model % 3 })),
  }));
  for (const status of statuses) placement.take(status);
  const times = [];
  const baseline = [];
  for (let round = 0; round < 2_000; round++) {
    const model = `model-${round % 200}:latest`;
    times.push(timed(() => placement.choose(model)));
    baseline.push(timed(() => statuses.find(({ models }) => models.some(({ name }) => name === model))));
  }
  report(`choosing among ${NODES} nodes × ${MODELS} models, ms`, `${distribution(times, 4)}; the first that has it: p50 ${median(baseline).toFixed(4)}`, { text: '≤ 0.2 ms', met: median(times) <= 0.2 });
}

async function turns() {
  const { Schedule } = await import(join(ROOT, 'dist/apps/model-manager/scheduling/schedule.js'));
  const [enter, leave, push, shift] = [[], [], [], []];
  for (let round = 0; round < 5; round++) {
    const schedule = new Schedule({ parallel: 1, maxResident: 3, queueLength: 2 * QUEUED, switchAfterMs: 10_000 });
    const plain = [];
    const tickets = Array.from({ length: QUEUED }, (_ticket, index) => ({ client: `client-${index % CLIENTS}`, model: 'm', arrivedAt: index }));
    for (const ticket of tickets) {
      enter.push(timed(() => { schedule.refusal(ticket.client); schedule.aheadOfNext('m', ticket.client); schedule.arrive(ticket); }));
      push.push(timed(() => plain.push(ticket)));
    }
    for (let now = QUEUED; schedule.waiting > 0; now++) {
      let started;
      leave.push(timed(() => {
        [started] = schedule.next(now);
        schedule.finish(started.start, now);
      }));
      shift.push(timed(() => plain.shift()));
    }
  }
  const micro = (values) => (1_000 * values.reduce((sum, value) => sum + value, 0)) / values.length;
  report(`queue of ${QUEUED}, ${CLIENTS} clients: enqueue`, `${micro(enter).toFixed(1)} µs; an array's push: ${micro(push).toFixed(2)} µs`, { text: '≤ 50 µs', met: micro(enter) <= 50 });
  report(`queue of ${QUEUED}, ${CLIENTS} clients: dequeue`, `${micro(leave).toFixed(1)} µs; an array's shift: ${micro(shift).toFixed(2)} µs`, { text: '≤ 50 µs', met: micro(leave) <= 50 });
}

function timed(work) {
  const began = performance.now();
  work();
  return performance.now() - began;
}
