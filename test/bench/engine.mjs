// An engine in a container: from `up` to ready, adopting one that runs, and from its death to the restart command.
// Baseline: the same image started by the docker command, until it answers. Needs a Docker engine that runs, or root and dockerd.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { distribution, median, report } from './figures.mjs';
import { startMesh, temporaryFolder } from './mesh.mjs';

const exec = promisify(execFile);
const RUNS = 5;
const IMAGE = 'ollamesh-bench/engine';
const NODE = `bench-${process.pid}`;
const CONTAINER = `ollamesh-engine-${NODE}`;
const ENGINE = `process.on('SIGTERM',()=>process.exit());require('node:http').createServer((q,s)=>s.end('{"version":"1","models":[]}')).listen(11434,'0.0.0.0')`;

export async function run() {
  const { folder, remove } = await temporaryFolder();
  const daemon = await dockerEngine(folder);
  if (!daemon) {
    console.log('Left out: no Docker engine answers, and there is no dockerd to start as root.');
    return remove();
  }
  const docker = async (...args) => (await exec('docker', args, { env: { ...process.env, DOCKER_HOST: daemon.host } })).stdout.trim();
  const settings = { DOCKER_HOST: daemon.host, OLLAMESH_ENGINE: 'docker', OLLAMESH_ENGINE_IMAGE: `${IMAGE}:latest`, OLLAMESH_ENGINE_VOLUME: NODE, OLLAMESH_NODE: NODE };
  try {
    await makeImage(docker, folder);
    const own = [];
    const whole = [];
    const cold = [];
    const adopting = [];
    const death = [];
    await cliStartMs(docker); // The first start reads the image from disk.
    for (let i = 0; i < RUNS; i++) {
      own.push(await cliStartMs(docker));
      const first = await measuredMesh(folder, { ...settings, OLLAMESH_ENGINE_KEEP_RUNNING: 'true' });
      whole.push(first.wholeMs);
      cold.push(first.engineMs);
      await first.stop();
      const second = await measuredMesh(folder, settings);
      adopting.push(second.engineMs);
      death.push(await second.deathToRestartMs(docker));
      await second.stop();
    }
    const allowed = median(own) + 500;
    report('baseline: docker run until it answers, ms', distribution(own, 0));
    report('first look to engine ready, ms', distribution(cold, 0), { text: `own start + 500 = ${allowed.toFixed(0)} median`, met: median(cold) <= allowed });
    report('the same from the start of the command, ms', distribution(whole, 0));
    report('adopting: first look to engine ready, ms', distribution(adopting, 0), { text: '≤ 300 median', met: median(adopting) <= 300 });
    report('container death to restart command, ms', distribution(death, 0), { text: '≤ 500 median', met: median(death) <= 500 });
  } finally {
    for (const command of [['rm', '--force', CONTAINER], ['volume', 'rm', '--force', NODE], ['rmi', '--force', IMAGE]]) {
      await docker(...command).catch((thrown) => console.error(`Left behind: ${thrown.message}`));
    }
    await daemon.stop();
    await remove();
  }
}

/** The engine's times are those of its own states: from the first word of the orchestrator to `ready`. */
async function measuredMesh(folder, settings) {
  const startedAt = performance.now();
  let lookedAt;
  let readyAt;
  let restartedAt;
  const onFact = ({ what, engine }) => {
    if (what !== 'engine') return;
    lookedAt ??= performance.now();
    if (engine.state === 'ready') readyAt ??= performance.now();
    if (engine.state === 'starting' && readyAt !== undefined) restartedAt ??= Date.now();
  };
  const mesh = await startMesh(folder, undefined, { settings, onFact });
  return {
    wholeMs: readyAt - startedAt,
    engineMs: readyAt - lookedAt,
    stop: mesh.stop,
    async deathToRestartMs(docker) {
      const seconds = () => (Date.now() / 1_000).toFixed(3);
      const killedAt = seconds();
      await docker('kill', CONTAINER);
      while (restartedAt === undefined) await sleep(5);
      const events = await docker('events', '--since', killedAt, '--until', seconds(), '--filter', `container=${CONTAINER}`, '--filter', 'event=die', '--format', '{{.TimeNano}}');
      return restartedAt - Number(events.split('\n')[0]) / 1e6;
    },
  };
}

async function cliStartMs(docker) {
  const startedAt = performance.now();
  await docker('run', '--detach', '--name', CONTAINER, '--publish', '127.0.0.1::11434', IMAGE);
  const address = (await docker('port', CONTAINER, '11434')).split('\n')[0];
  for (;;) {
    if (await fetch(`http://${address}/api/version`, { signal: AbortSignal.timeout(1_000) }).then(({ ok }) => ok, () => false)) break;
    await sleep(10);
  }
  const ms = performance.now() - startedAt;
  await docker('rm', '--force', CONTAINER);
  return ms;
}

/** This node with its libraries: nothing is fetched. */
async function makeImage(docker, folder) {
  const node = await realpath(process.execPath);
  const { stdout } = await exec('ldd', [node]);
  const files = [node, ...[...stdout.matchAll(/\/\S+(?= \(0x)/g)].map(([path]) => path)];
  await exec('tar', ['-chPf', join(folder, 'image.tar'), '--transform', 's,^/,,', ...files]);
  await docker('import', '--change', `ENTRYPOINT ${JSON.stringify([node, '--eval', ENGINE])}`, join(folder, 'image.tar'), IMAGE);
}

async function dockerEngine(folder) {
  const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  const answers = (at) => exec('docker', ['info'], { env: { ...process.env, DOCKER_HOST: at } }).then(() => true, () => false);
  if (await answers(host)) return { host, stop: async () => undefined };
  if (process.getuid?.() !== 0 || !['/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd'].some((path) => existsSync(path))) return undefined;
  const own = `unix://${folder}/docker.sock`;
  await writeFile(join(folder, 'daemon.json'), '{}');
  const bridge = `olb${process.pid}`;
  await exec('ip', ['link', 'add', bridge, 'type', 'bridge']);
  await exec('ip', ['addr', 'add', `10.214.${process.pid % 250}.1/24`, 'dev', bridge]);
  await exec('ip', ['link', 'set', bridge, 'up']);
  const places = ['--data-root', 'data', '--exec-root', 'exec', '--pidfile', 'pid', '--config-file', 'daemon.json'].map((word) => (word.startsWith('--') ? word : join(folder, word)));
  const child = spawn('dockerd', [...places, '--host', own, '--bridge', bridge, '--iptables=false', '--ip6tables=false', '--ip-forward=false'], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for (let waited = 0; waited < 40_000 && !(await answers(own)); waited += 200) await sleep(200);
  return {
    host: own,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      await exec('ip', ['link', 'delete', bridge]);
    },
  };
}
