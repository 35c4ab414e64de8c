/** An engine in words: what is wanted, what there is, what it takes, what is on its way. start-up-view.ts tells it as it happens. Pure. */
import type { Acquired, Engine, EngineGpu, EngineUsage, EngineWish } from '#contracts';

/** The lines of `ollamesh status`, the first without a label. */
export function engineLines(engine: Engine): string[] {
  const { node, driver, state, reason, version, wish, usage, preparing, refused, choices, lastExit, lastLogLines } = engine;
  const detail = (label: string, text: string): string => `          ${label.padEnd(8)}${text}`;
  return [
    `engine    ${node}: ${driver ?? 'none'}${version ? ` ${version}` : ''} is ${state}. ${reason}`,
    ...(wish ? [detail('wanted', wanted(wish)), detail('actual', actual(engine))] : []),
    ...(usage ? [detail('takes', taken(usage))] : []),
    ...(preparing ? [detail('coming', `${preparing.driver}: ${preparing.reason}${preparing.acquired ? ` ${amounts(preparing.acquired)}` : ''}`)] : []),
    ...(refused === undefined ? [] : refused.split('\n').map((line, index) => detail(index === 0 ? 'refused' : '', line))),
    ...(state === 'ready' ? [] : choices.map((choice) => detail('', `${choice.chosen ? '✓' : '·'} ${choice.driver}: ${choice.reason}`))),
    ...(lastExit && state !== 'ready' ? [detail('died', exit(lastExit))] : []),
    ...(lastExit && state !== 'ready' ? (lastLogLines ?? []).slice(-5).map((line) => detail('', `  ${line}`)) : []),
  ];
}

function wanted({ driver, image, port, gpu, parallel, env, memoryBytes, cpus, keepRunning, models }: EngineWish): string {
  return [
    driver,
    ...(driver === 'auto' || driver === 'docker' ? [`image ${image}`] : []),
    port === 0 ? 'any port' : `port ${port}`,
    `GPU ${gpu}`,
    `${parallel} at once`,
    ...(memoryBytes === undefined ? [] : [`at most ${gibibytes(memoryBytes)} memory`]),
    ...(cpus === undefined ? [] : [`at most ${cpus} processors`]),
    ...(env.length > 0 ? [`environment ${env.join(' ')}`] : []),
    ...(keepRunning ? ['kept running'] : []),
    models.length > 0 ? `models ${models.join(' ')}` : 'no models named',
  ].join(', ');
}

function actual({ driver, image, url, gpu, models }: Engine): string {
  const named = models.map(({ model, state, detail }) => `${model} ${state}${detail ? ` (${detail})` : ''}`);
  return [driver ?? 'none', ...(image === undefined ? [] : [`image ${image}`]), url ?? 'no address', ...(gpu ? [graphics(gpu)] : []), ...named].join(', ');
}

const WORDS: Readonly<Record<EngineGpu['state'], string>> = { verified: 'GPU works', granted: 'GPU given', none: 'no GPU', lost: 'GPU lost' };

export function graphics({ state, reason }: EngineGpu): string {
  return `${WORDS[state]} (${reason.replace(/\.$/, '')})`;
}

function taken({ cpuPercent, memoryBytes, memoryLimitBytes, receivedBytes, sentBytes }: EngineUsage): string {
  const limit = memoryLimitBytes === undefined ? '' : ` of ${gibibytes(memoryLimitBytes)}`;
  const network = receivedBytes === undefined || sentBytes === undefined ? '' : `, ${(receivedBytes / 1e6).toFixed(1)} MB received, ${(sentBytes / 1e6).toFixed(1)} MB sent`;
  return `${cpuPercent} % of a processor, ${gibibytes(memoryBytes)}${limit} memory${network}`;
}

function exit({ code, signal, outOfMemory }: NonNullable<Engine['lastExit']>): string {
  if (outOfMemory) return 'out of memory';
  return signal === null ? `exit code ${code ?? 'unknown'}` : `by ${signal}`;
}

/** "40 % of 1.9 GB, 12.3 MB/s, 95 s left". */
export function amounts({ completedBytes, totalBytes, bytesPerSecond, etaSeconds }: Acquired): string {
  const percent = totalBytes === 0 ? 0 : Math.floor((100 * completedBytes) / totalBytes);
  const speed = bytesPerSecond > 0 ? `, ${(bytesPerSecond / 1e6).toFixed(1)} MB/s` : '';
  const left = etaSeconds === undefined ? '' : `, ${etaSeconds < 90 ? `${etaSeconds} s` : `${Math.round(etaSeconds / 60)} min`} left`;
  return `${percent} % of ${(totalBytes / 1e9).toFixed(2)} GB${speed}${left}`;
}

const gibibytes = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
