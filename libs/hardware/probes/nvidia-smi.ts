/** NVIDIA GPUs, as nvidia-smi tells them. What it can't say stays undefined; why, is a finding. */
import type { HardwareWarning } from '#contracts';
import type { CommandOutcome, CommandRunner } from './command-runner.js';
import { type FoundGpu, type GpusFound, GIB, MIB, normalisePciBusId, nothingFound } from './found.js';

export interface NvidiaProbe {
  readonly run: CommandRunner;
  readonly platform: NodeJS.Platform;
  /** How long one question may take, in milliseconds. A machine whose driver must first wake up needs seconds. */
  readonly timeoutMs: number;
}

const FIELDS = ['index', 'name', 'uuid', 'pci.bus_id', 'memory.total', 'memory.used', 'utilization.gpu', 'temperature.gpu', 'driver_version', 'power.limit', 'power.draw'];
const FORMAT = '--format=csv,noheader,nounits';
const DEVICE_LOST = 'Unable to determine the device handle';

/** Beside the one on the PATH: where WSL and older Windows drivers put it. */
const ELSEWHERE: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: ['/usr/lib/wsl/lib/nvidia-smi'],
  win32: ['C:\\Windows\\System32\\nvidia-smi.exe', 'C:\\Program Files\\NVIDIA Corporation\\NVSMI\\nvidia-smi.exe'],
};

/** Makes a function that asks nvidia-smi for its GPUs. It never throws; a missing tool is a finding. */
export function nvidiaProbe({ run, platform, timeoutMs }: NvidiaProbe): () => Promise<GpusFound> {
  // Each asked apart, because older drivers refuse a whole question over one field that they don't know.
  const capabilities = askedOnce(run, 'compute_cap', timeoutMs);
  const addressingModes = askedOnce(run, 'addressing_mode', timeoutMs);
  return async () => {
    if (platform === 'darwin') return nothingFound('Not looked for NVIDIA GPUs: macOS has no driver for them.');
    for (const file of ['nvidia-smi', ...(ELSEWHERE[platform] ?? [])]) {
      const outcome = await run(file, [`--query-gpu=${FIELDS.join(',')}`, FORMAT], { timeoutMs });
      if (outcome.kind === 'timed-out') return { ...nothingFound(`nvidia-smi gave no answer within ${timeoutMs / 1000} s; the driver may hang.`), hung: true };
      if (outcome.kind === 'failed') return nothingFound(`nvidia-smi could not be run: ${outcome.reason}`);
      if (outcome.kind === 'exited') {
        const { gpus, findings, warnings } = read(outcome);
        const [known, modes] = await Promise.all([capabilities(file, gpus), addressingModes(file, gpus)]);
        return { gpus: gpus.map((gpu) => complete(gpu, known.get(gpu.index), modes.get(gpu.index))), findings, warnings };
      }
    }
    return { ...nothingFound('No NVIDIA driver: nvidia-smi was not found.'), missing: true };
  };
}

type Exited = Extract<CommandOutcome, { kind: 'exited' }>;

function read({ code, stdout, stderr }: Exited): GpusFound {
  const { gpus, findings, warnings } = parseGpus(stdout);
  // It prints most errors on stdout, and may know some GPUs but not all; the exit code says no more than that.
  const complaint = code === 0 && gpus.length > 0 ? undefined : explain(code, `${stdout}\n${stderr}`);
  const said = typeof complaint === 'string' ? [complaint] : [];
  return { gpus, findings: [...gpus.map(found), ...findings, ...said], warnings: typeof complaint === 'object' ? [...warnings, complaint] : warnings };
}

function complete(gpu: FoundGpu, computeCapability: string | undefined, addressingMode: string | undefined): FoundGpu {
  return {
    ...gpu,
    ...(computeCapability !== undefined && /^\d+\.\d+$/.test(computeCapability) && { computeCapability }),
    // With address translation by the CPU (Grace, GB10) a GPU that tells no memory of its own works in the machine's.
    ...(addressingMode === 'ATS' && gpu.vramTotalBytes === undefined && { unifiedMemory: true }),
  };
}

/** Asks for what never changes: again only when other GPUs have come, or a question was not answered. */
function askedOnce(run: CommandRunner, field: string, timeoutMs: number): (file: string, gpus: readonly FoundGpu[]) => Promise<ReadonlyMap<number, string>> {
  let askedAbout: string | undefined;
  let known: ReadonlyMap<number, string> = new Map();
  return async (file, gpus) => {
    const key = JSON.stringify(gpus.map(({ index, uuid, driverVersion }) => [index, uuid, driverVersion]));
    if (gpus.length === 0 || key === askedAbout) return gpus.length === 0 ? new Map() : known;
    const outcome = await run(file, [`--query-gpu=index,${field}`, FORMAT], { timeoutMs });
    if (outcome.kind !== 'exited') return new Map();
    [askedAbout, known] = [key, parseField(outcome.stdout)];
    return known;
  };
}

/** GPU index → value of the one field asked for; empty where the driver does not know the question. */
export function parseField(stdout: string): Map<number, string> {
  const lines = linesOf(stdout).map((line) => /^(\d+), (.+)$/.exec(line));
  return new Map(lines.flatMap((match) => (match?.[1] && isKnown(match[2]) ? [[Number(match[1]), match[2]] as const] : [])));
}

/** GPUs out of the main question's answer; lines that are no GPU become findings, alarms warnings. */
export function parseGpus(stdout: string): { gpus: FoundGpu[]; findings: string[]; warnings: HardwareWarning[] } {
  const gpus: FoundGpu[] = [];
  const findings: string[] = [];
  const warnings: HardwareWarning[] = [];
  for (const line of linesOf(stdout)) {
    const gpu = parseGpu(line);
    if (gpu) gpus.push(gpu);
    else if (/^\d+, /.test(line)) findings.push(`nvidia-smi said something unexpected about NVIDIA GPU ${Number.parseInt(line, 10)}: "${line}".`);
    else if (line.startsWith(DEVICE_LOST)) warnings.push({ problem: `A GPU does not respond: nvidia-smi says "${line}".`, fix: 'Restart the machine; if it comes back, check the power and seat of that card.' });
    for (const state of new Set(line.match(ALARMING))) {
      warnings.push({ problem: `NVIDIA GPU ${Number.parseInt(line, 10)}: nvidia-smi says "${state}".`, fix: 'Restart the machine, or reset this GPU: sudo nvidia-smi --gpu-reset.' });
    }
  }
  return { gpus, findings, warnings };
}

/** Words in place of a value that mean more than "this GPU has no such sensor". */
const ALARMING = /(?<=\[)(?:GPU requires reset|GPU is lost|Unknown Error|Insufficient Permissions)(?=\])/g;

function parseGpu(line: string): FoundGpu | undefined {
  const values = line.split(', ').map((value) => value.trim());
  // Should a name hold the separator, the fields around it are still in their places.
  const [index = ''] = values;
  const [uuid, pciBusId, total, used, utilization, temperature, driverVersion, powerLimit, powerDraw] = values.slice(-9);
  const name = values.slice(1, -9).join(', ');
  if (values.length < FIELDS.length || !/^\d+$/.test(index) || name === '' || !isKnown(driverVersion)) return undefined;

  const memory = { total: numberIn(total), used: numberIn(used) };
  const percent = numberIn(utilization);
  const celsius = numberIn(temperature);
  const limitWatts = numberIn(powerLimit);
  const watts = numberIn(powerDraw);
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
    ...(watts !== undefined && { powerWatts: watts }),
    ...(limitWatts !== undefined && { powerLimitWatts: limitWatts }),
  };
}

const linesOf = (stdout: string): string[] => stdout.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== '');

/** False for "[N/A]", "[Not Supported]", "N/A" and their like. */
function isKnown(value: string | undefined): value is string {
  return value !== undefined && value !== '' && value !== 'N/A' && !/^\[.*\]$/.test(value);
}

function numberIn(value: string | undefined): number | undefined {
  return value !== undefined && /^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
}

function found({ index, name, driverVersion, vramTotalBytes }: FoundGpu): string {
  const memory = vramTotalBytes === undefined ? 'no memory of its own reported; it may share the machine\'s' : `${(vramTotalBytes / GIB).toFixed(1)} GiB`;
  return `NVIDIA GPU ${index}: ${name} (${memory}, driver ${driverVersion ?? 'unknown'}).`;
}

/** What an exit code other than 0 means: a warning where it is known what to do, else a finding. */
function explain(code: number, output: string): HardwareWarning | string | undefined {
  if (code === 0 && linesOf(output).length === 0) return 'nvidia-smi lists no GPU.';
  const said = (linesOf(output).find((line) => !/^\d+, /.test(line)) ?? `exit code ${code}`).replace(/\.$/, '');
  if (/No devices were found/i.test(said)) return { problem: 'An NVIDIA driver is installed, but it sees no GPU.', fix: 'Check that the GPU is seated and powered: lspci -nn | grep -i nvidia' };
  if (/Driver\/library version mismatch/i.test(said)) return { problem: `nvidia-smi says "${said}": the driver was updated while in use.`, fix: 'Restart the machine.' };
  if (/couldn't communicate with the NVIDIA driver/i.test(said)) return { problem: 'nvidia-smi is installed, but the NVIDIA driver does not run.', fix: 'Load it (sudo modprobe nvidia) or install it anew: https://www.nvidia.com/drivers' };
  if (/Failed to initialize NVML/i.test(said)) return { problem: `nvidia-smi says "${said}": this process lost its GPUs.`, fix: 'In a container, restart it; Docker with CDI or native.cgroupdriver=cgroupfs does not lose them on a reload.' };
  if (said.startsWith(DEVICE_LOST)) return undefined;
  return `nvidia-smi failed: "${said}".`;
}
