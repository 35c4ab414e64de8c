/** NVIDIA GPUs, as nvidia-smi tells them. What it can't say stays undefined; why, is a finding. */
import type { Gpu } from '#contracts';
import type { CommandOutcome, CommandRunner } from './command-runner.js';

export interface GpusFound {
  readonly gpus: readonly Gpu[];
  /** What was looked for and what came of it, a sentence each. */
  readonly findings: readonly string[];
  /** True when the tool hung, so that asking again at once is no use. */
  readonly hung: boolean;
  /** True when the tool is not there, so that looking again soon is no use. */
  readonly missing?: boolean;
}

export interface NvidiaProbe {
  readonly run: CommandRunner;
  readonly platform: NodeJS.Platform;
  /** How long one question may take, in milliseconds. A machine whose driver must first wake up needs seconds. */
  readonly timeoutMs: number;
}

const FIELDS = ['index', 'name', 'uuid', 'pci.bus_id', 'memory.total', 'memory.used', 'utilization.gpu', 'temperature.gpu', 'driver_version', 'power.limit'];
const FORMAT = '--format=csv,noheader,nounits';
const MIB = 1024 * 1024;
const DEVICE_LOST = 'Unable to determine the device handle';

/** Beside the one on the PATH: where WSL and older Windows drivers put it. */
const ELSEWHERE: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: ['/usr/lib/wsl/lib/nvidia-smi'],
  win32: ['C:\\Windows\\System32\\nvidia-smi.exe', 'C:\\Program Files\\NVIDIA Corporation\\NVSMI\\nvidia-smi.exe'],
};

/** Makes a function that asks nvidia-smi for its GPUs. It never throws; a missing tool is a finding. */
export function nvidiaProbe({ run, platform, timeoutMs }: NvidiaProbe): () => Promise<GpusFound> {
  const capabilitiesOf = computeCapabilities(run, timeoutMs);
  return async () => {
    if (platform === 'darwin') return none('Not looked for NVIDIA GPUs: macOS has no driver for them.');
    for (const file of ['nvidia-smi', ...(ELSEWHERE[platform] ?? [])]) {
      const outcome = await run(file, [`--query-gpu=${FIELDS.join(',')}`, FORMAT], { timeoutMs });
      if (outcome.kind === 'timed-out') return { ...none(`nvidia-smi gave no answer within ${timeoutMs / 1000} s; the driver may hang.`), hung: true };
      if (outcome.kind === 'failed') return none(`nvidia-smi could not be run: ${outcome.reason}`);
      if (outcome.kind === 'exited') return gpusOf(outcome, (gpus) => capabilitiesOf(file, gpus));
    }
    return { ...none('No NVIDIA driver: nvidia-smi was not found.'), missing: true };
  };
}

type Exited = Extract<CommandOutcome, { kind: 'exited' }>;

async function gpusOf({ code, stdout, stderr }: Exited, capabilitiesOf: (gpus: readonly Gpu[]) => Promise<ReadonlyMap<number, string>>): Promise<GpusFound> {
  const { gpus, findings } = parseGpus(stdout);
  // It prints most errors on stdout, and may know some GPUs but not all; the exit code says no more than that.
  const complaints = code === 0 && gpus.length > 0 ? [] : explain(code, `${stdout}\n${stderr}`);
  const capabilities = await capabilitiesOf(gpus);
  const complete = gpus.map((gpu) => withCapability(gpu, capabilities.get(gpu.index)));
  return { gpus: complete, findings: [...complete.map(found), ...complete.flatMap(limits), ...findings, ...complaints], hung: false };
}

/** Asked apart, because older drivers refuse the whole question if it names compute_cap; and once, because it never changes. */
function computeCapabilities(run: CommandRunner, timeoutMs: number): (file: string, gpus: readonly Gpu[]) => Promise<ReadonlyMap<number, string>> {
  let askedAbout: string | undefined;
  let known: ReadonlyMap<number, string> = new Map();
  return async (file, gpus) => {
    const key = JSON.stringify(gpus.map(({ index, uuid, driverVersion }) => [index, uuid, driverVersion]));
    if (gpus.length === 0 || key === askedAbout) return gpus.length === 0 ? new Map() : known;
    const outcome = await run(file, ['--query-gpu=index,compute_cap', FORMAT], { timeoutMs });
    if (outcome.kind !== 'exited') return new Map();
    [askedAbout, known] = [key, parseComputeCapabilities(outcome.stdout)];
    return known;
  };
}

const none = (finding: string): GpusFound => ({ gpus: [], findings: [finding], hung: false });

/** GPUs out of the main question's answer; lines that are no GPU become findings. */
export function parseGpus(stdout: string): { gpus: Gpu[]; findings: string[] } {
  const gpus: Gpu[] = [];
  const findings: string[] = [];
  for (const line of linesOf(stdout)) {
    const gpu = parseGpu(line);
    if (gpu) gpus.push(gpu);
    else if (/^\d+, /.test(line)) findings.push(`nvidia-smi said something unexpected about GPU ${Number.parseInt(line, 10)}: "${line}".`);
    else if (line.startsWith(DEVICE_LOST)) findings.push(`A GPU does not respond: nvidia-smi says "${line}".`);
    for (const state of new Set(line.match(ALARMING))) findings.push(`GPU ${Number.parseInt(line, 10)}: nvidia-smi says "${state}".`);
  }
  return { gpus, findings };
}

/** Words in place of a value that mean more than "this GPU has no such sensor". */
const ALARMING = /(?<=\[)(?:GPU requires reset|GPU is lost|Unknown Error|Insufficient Permissions)(?=\])/g;

function parseGpu(line: string): Gpu | undefined {
  const values = line.split(', ').map((value) => value.trim());
  // Should a name hold the separator, the fields around it are still in their places.
  const [index = ''] = values;
  const [uuid, pciBusId, total, used, utilization, temperature, driverVersion, power] = values.slice(-8);
  const name = values.slice(1, -8).join(', ');
  if (values.length < FIELDS.length || !/^\d+$/.test(index) || name === '' || !isKnown(driverVersion)) return undefined;

  const memory = { total: numberIn(total), used: numberIn(used) };
  const percent = numberIn(utilization);
  const celsius = numberIn(temperature);
  const watts = numberIn(power);
  return {
    index: Number(index),
    vendor: 'nvidia',
    name,
    ...(isKnown(uuid) && { uuid }),
    ...(isKnown(pciBusId) && { pciBusId: normalisePciBusId(pciBusId) }),
    driverVersion,
    // A GPU without memory of its own is said to have none, or 0.
    ...(memory.total && { vramTotalBytes: memory.total * MIB }),
    ...(memory.total && memory.used !== undefined && { vramUsedBytes: memory.used * MIB }),
    ...(percent !== undefined && { utilizationPercent: Math.min(100, percent) }),
    ...(celsius !== undefined && { temperatureCelsius: celsius }),
    ...(watts !== undefined && { powerLimitWatts: watts }),
  };
}

/** GPU index → compute capability such as "8.9"; empty where the driver does not know the question. */
export function parseComputeCapabilities(stdout: string): Map<number, string> {
  const known = linesOf(stdout).map((line) => /^(\d+), (\d+\.\d+)$/.exec(line));
  return new Map(known.flatMap((match) => (match?.[1] && match[2] ? [[Number(match[1]), match[2]] as const] : [])));
}

/** "00000000:01:00.0" as the kernel writes it: "0000:01:00.0". */
function normalisePciBusId(text: string): string {
  return text.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, '');
}

const linesOf = (stdout: string): string[] => stdout.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== '');

/** False for "[N/A]", "[Not Supported]", "N/A" and their like. */
function isKnown(value: string | undefined): value is string {
  return value !== undefined && value !== '' && value !== 'N/A' && !/^\[.*\]$/.test(value);
}

function numberIn(value: string | undefined): number | undefined {
  return value !== undefined && /^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
}

function withCapability(gpu: Gpu, computeCapability: string | undefined): Gpu {
  return computeCapability === undefined ? gpu : { ...gpu, computeCapability };
}

function found({ index, name, driverVersion, vramTotalBytes }: Gpu): string {
  const memory = vramTotalBytes === undefined ? 'no memory of its own reported; it may share the machine\'s' : `${(vramTotalBytes / 1024 ** 3).toFixed(1)} GiB`;
  return `GPU ${index}: ${name} (${memory}, driver ${driverVersion ?? 'unknown'}).`;
}

/** Ollama's needs: driver 550, and 570 for compute capability 5.0 to 6.2. */
function limits({ index, driverVersion = '', computeCapability }: Gpu): string[] {
  const driver = Number.parseInt(driverVersion, 10);
  const capability = computeCapability === undefined ? undefined : Number(computeCapability);
  if (capability !== undefined && capability < 5) return [`GPU ${index}: its compute capability ${computeCapability} is below 5.0, which Ollama needs.`];
  const needed = capability !== undefined && capability <= 6.2 ? 570 : 550;
  return driver < needed ? [`GPU ${index}: its driver ${driverVersion} is older than ${needed}, which Ollama needs.`] : [];
}

/** What an exit code other than 0 means, and what to do about it where that is known. */
function explain(code: number, output: string): string[] {
  if (code === 0 && linesOf(output).length === 0) return ['nvidia-smi lists no GPU.'];
  const said = (linesOf(output).find((line) => !/^\d+, /.test(line)) ?? `exit code ${code}`).replace(/\.$/, '');
  if (/No devices were found/i.test(said)) return ['An NVIDIA driver is installed, but it sees no GPU.'];
  if (/Driver\/library version mismatch/i.test(said)) return [`nvidia-smi says "${said}": the driver was updated while in use; restart the machine.`];
  if (/couldn't communicate with the NVIDIA driver/i.test(said)) return ['nvidia-smi is installed, but the NVIDIA driver does not run; install or load it.'];
  if (/Failed to initialize NVML/i.test(said)) return [`nvidia-smi says "${said}": this process lost its GPUs; in a container, restart it.`];
  if (said.startsWith(DEVICE_LOST)) return [];
  return [`nvidia-smi failed: "${said}".`];
}
