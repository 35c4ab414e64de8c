/** How long detecting the hardware takes, and what sampling it costs in processor time, children included, beside what an idle Node process costs. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HardwareReader, planFor } from '../../dist/libs/hardware/index.js';
import { distribution, median, report } from './figures.mjs';

const DETECTIONS = 7;
const SAMPLING_MS = 30_000;
const PLANS = 200;

export async function run() {
  // Here alone: it loads Nest, which is no part of detecting.
  const { SAMPLE_EVERY_MS } = await import('../../dist/apps/gpu-agent/hardware-watch.js');
  const times = [];
  const processor = [];
  const reading = [];
  for (let round = 0; round < DETECTIONS; round += 1) {
    // In a process of its own each time: nothing is remembered, and loading is part of it.
    const started = performance.now();
    const said = execFileSync(process.execPath, [fileURLToPath(import.meta.url), 'detect'], { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
    times.push(performance.now() - started);
    const [used, took] = said.split(' ').map(Number);
    processor.push(used);
    reading.push(took);
  }
  const bare = [];
  for (let round = 0; round < DETECTIONS; round += 1) {
    const started = performance.now();
    execFileSync(process.execPath, ['-e', '0']);
    bare.push(performance.now() - started);
  }
  report('full detection, process start included', `${distribution(times, 0)} ms`, { text: '≤ 1 s', met: median(times) <= 1_000 });
  report('  reading alone, the code being loaded', `${distribution(reading, 0)} ms`);
  report('  processor time of it', `${distribution(processor, 0)} ms`);
  report('  baseline: an empty Node process', `${distribution(bare, 0)} ms`);

  const share = await costOf('sample', SAMPLE_EVERY_MS.watched);
  const idle = await costOf('idle', SAMPLE_EVERY_MS.watched);
  report(`sampling every ${SAMPLE_EVERY_MS.watched / 1_000} s for ${SAMPLING_MS / 1_000} s`, `${(share * 100).toFixed(2)} % of a core`, { text: '≤ 1 %', met: share <= 0.01 });
  report('  baseline: a Node process with a timer', `${(idle * 100).toFixed(2)} % of a core`);

  const hardware = await new HardwareReader({ node: 'bench' }).read();
  const started = performance.now();
  for (let round = 0; round < PLANS; round += 1) planFor(hardware);
  report(`a plan: candidates, settings, ${hardware.plan.models.length} models`, `${((performance.now() - started) / PLANS).toFixed(2)} ms`);
}

/** Share of a core that a process took after its first reading, its children included. */
async function costOf(what, everyMs) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), what, String(everyMs)], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await child.stdout.take(1).toArray();
    const before = processorMs(child.pid);
    await sleep(SAMPLING_MS);
    return (processorMs(child.pid) - before) / SAMPLING_MS;
  } finally {
    child.kill();
  }
}

/** User and system time of a process and its ended children, in milliseconds (the kernel counts in hundredths of a second). */
function processorMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * 10;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const started = performance.now();
  const reader = new HardwareReader({ node: 'bench' });
  if (process.argv[2] !== 'idle') await reader.read();
  const { user, system } = process.cpuUsage();
  console.log(((user + system) / 1_000).toFixed(1), (performance.now() - started).toFixed(1));
  if (process.argv[2] === 'detect') process.exit(0);
  setInterval(() => (process.argv[2] === 'sample' ? reader.read() : undefined), Number(process.argv[3]));
}
