/** Which models suit a task, by the machine's plan and by what was observed on it. Pure. */
import { type HardwarePlan, type Model, type ModelPriority, type ModelTask, type RecommendedModel, isSameModel, parseModelName } from '#contracts';
import { type CatalogueModel, catalogue, modelBytes } from './catalogue.js';
import { fitOf } from './fit.js';
import { modelMemory } from './memory.js';
import { activeWeightBytes } from './quantization.js';
import { expectedTokensPerSecond } from './speed.js';

/** A node as far as its models' fit depends on it. */
export interface Machine {
  readonly node: string;
  readonly plan: Pick<HardwarePlan, 'settings' | 'memory' | 'models'>;
  /** What it has on disk, with what was measured and seen in memory. */
  readonly models: readonly Model[];
}

/** Bytes a second that a desktop's memory gives, as its makers say: nobody tells how fast that of this machine is. */
const USUAL_CPU_BANDWIDTH = 30e9;
/** Slower than one reads: nobody likes to wait for it. */
const SLOW_TOKENS_PER_SECOND = 8;
/** A model that reads less for a token shows the speed of everything but memory. */
const TELLING_BYTES = 100e6;
/** Models of fewer parameters know next to nothing; in billions. */
const TOY_BILLIONS = 0.2;

/** With what its speed follows from. */
interface Row extends RecommendedModel {
  readonly readsBytes: number;
  /** Tokens a second that the machine's plan expects of it on the GPU. */
  readonly onGpu?: number;
}

interface Rated {
  readonly tasks: readonly string[];
  readonly row: Row;
  /** Tokens a second of its benchmark. */
  readonly measured?: number | undefined;
}

/** Every model of the catalogue and of the machine that does `task`, unordered. */
export function modelsFor(task: ModelTask, { node, plan, models }: Machine, known: readonly CatalogueModel[] = catalogue()): RecommendedModel[] {
  const placed = models.map((model) => ({ model, row: known.find((row) => isThatModel(row, model)) }));
  const rated: Rated[] = [
    ...placed.map(({ model, row }) => ({ tasks: row?.tasks ?? tasksOf(model), row: installedRow(node, plan, model, row), measured: model.benchmark?.tokensPerSecond.median })),
    ...known.filter((row) => !placed.some((there) => there.row === row)).map((row) => ({ tasks: row.tasks, row: { node, model: row.name, installed: false, ...byFormula(plan, row, modelBytes(row)), why: '' } })),
  ];
  const corrections = correctionsOf(rated);
  return rated
    .filter(({ tasks }) => tasks.includes(task))
    .map(({ row, measured }) => {
      const { readsBytes: _readsBytes, onGpu: _onGpu, ...shown } = row;
      const speed = task === 'embed' ? undefined : speedOf(row, measured, corrections.get(row.fit));
      return { ...shown, ...(speed && { speed }) };
    });
}

/** Best first, each model once: that of the node where it does best. Says why of each. */
export function ranked(rows: readonly RecommendedModel[], task: ModelTask, priority: ModelPriority): RecommendedModel[] {
  const best = new Map<string, RecommendedModel>();
  for (const row of rows.toSorted((a, b) => compare(a, b, task, priority))) if (!best.has(row.model)) best.set(row.model, row);
  return [...best.values()].map((row) => ({ ...row, why: why(row, task, priority) }));
}

function compare(a: RecommendedModel, b: RecommendedModel, task: ModelTask, priority: ModelPriority): number {
  const tokens = (row: RecommendedModel) => row.speed?.tokensPerSecond ?? 0;
  const billions = (row: RecommendedModel) => row.parametersBillions ?? 0;
  const faults = faultsOf(a, task, priority) - faultsOf(b, task, priority);
  const bySpeed = tokens(b) - tokens(a);
  const byQuality = billions(b) - billions(a);
  // Of vectors no speed is known: a smaller model is the quicker one.
  const wanted = priority === 'quality' ? byQuality || bySpeed : task === 'embed' ? -byQuality : bySpeed || byQuality;
  return faults || wanted || Number(b.installed) - Number(a.installed) || (a.model < b.model ? -1 : 1);
}

/** What speaks against a model whatever the order: more is worse. */
function faultsOf(row: RecommendedModel, task: ModelTask, priority: ModelPriority): number {
  if (row.fit === 'no') return 4;
  if (isToy(row, task)) return 3;
  return priority === 'quality' && isSlow(row) ? 1 : 0;
}

const isToy = ({ parametersBillions }: RecommendedModel, task: ModelTask): boolean => task !== 'embed' && parametersBillions !== undefined && parametersBillions < TOY_BILLIONS;
const isSlow = ({ speed }: RecommendedModel): boolean => speed !== undefined && speed.tokensPerSecond < SLOW_TOKENS_PER_SECOND;

function why(row: RecommendedModel, task: ModelTask, priority: ModelPriority): string {
  const gigabytes = `${(row.memory.totalBytes / 1e9).toFixed(1)} GB`;
  const places = {
    gpu: `its ${gigabytes} fit in the memory of the GPU`,
    partial: `${row.gpuPercent} % of its ${gigabytes} fit on the GPU, the rest in the machine's memory`,
    cpu: `its ${gigabytes} fit in the machine's memory`,
    no: `it needs ${gigabytes}, more than there is`,
  };
  const speed = row.speed && `${Math.round(row.speed.tokensPerSecond)} tokens/s ${{ measured: 'were measured', corrected: 'are expected, by what others reached here', expected: 'are expected' }[row.speed.from]}`;
  const rest = row.fit === 'no' ? undefined : isToy(row, task) ? 'too small to know much' : priority === 'quality' && isSlow(row) ? 'slower than one reads' : speed;
  const size = row.parametersBillions === undefined ? [] : [`${row.parametersBillions} billion parameters`];
  const text = [...(row.installed ? ['it is here'] : []), ...size, places[row.fit], ...(rest === undefined ? [] : [rest])].join('; ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function installedRow(node: string, plan: Machine['plan'], model: Model, row: CatalogueModel | undefined): Row {
  const base = row ? byFormula(plan, row, model.sizeBytes + (row.projectorBytes ?? 0)) : byFile(plan, model);
  return { node, model: model.name, installed: true, ...base, ...observedOf(model), why: '' };
}

type Reckoned = Omit<Row, 'node' | 'model' | 'installed' | 'why'>;

function byFormula({ settings, memory, models }: Machine['plan'], row: CatalogueModel, bytes: number): Reckoned {
  const load = { ...settings, contextLength: Math.min(settings.contextLength, row.contextLength) };
  const { fit, gpuPercent } = fitOf(row.architecture, bytes, load, memory);
  const onGpu = models.find(({ model }) => model === row.name)?.tokensPerSecond;
  const { totalBytes, weightBytes, kvBytes, computeBytes, overheadBytes } = modelMemory(row.architecture, bytes, load, fit === 'gpu' || fit === 'partial' ? memory.gpus : 0);
  return {
    fit,
    gpuPercent,
    memory: { totalBytes: Math.round(totalBytes), weightBytes, kvBytes: Math.round(kvBytes), workingBytes: Math.round(computeBytes), overheadBytes, from: 'formula' },
    parametersBillions: row.parametersBillions,
    licence: row.licence,
    readsBytes: activeWeightBytes(row.architecture, row.quantization),
    ...(onGpu !== undefined && { onGpu }),
  };
}

/** Of a model that the catalogue does not have: its file is what is known. */
function byFile({ memory: { gpuBytes, cpuBytes } }: Machine['plan'], { sizeBytes, parameterSize }: Model): Reckoned {
  const fit = sizeBytes <= gpuBytes ? 'gpu' : sizeBytes <= cpuBytes ? 'cpu' : 'no';
  const billions = billionsOf(parameterSize);
  return {
    fit,
    gpuPercent: fit === 'gpu' ? 100 : 0,
    memory: { totalBytes: sizeBytes, from: 'file' },
    ...(billions !== undefined && { parametersBillions: billions }),
    readsBytes: sizeBytes,
  };
}

/** What a model in memory takes there goes before what was reckoned. */
function observedOf({ residency }: Model): Pick<Row, 'fit' | 'gpuPercent' | 'memory'> | undefined {
  if (residency.state !== 'resident') return undefined;
  const totalBytes = residency.vramBytes + residency.ramBytes;
  if (totalBytes === 0) return undefined;
  const gpuPercent = Math.floor((100 * residency.vramBytes) / totalBytes);
  return { fit: gpuPercent === 100 ? 'gpu' : gpuPercent > 0 ? 'partial' : 'cpu', gpuPercent, memory: { totalBytes, from: 'observed' } };
}

/** By fit: how many times as fast as expected the measured models were, the middle one of them. */
function correctionsOf(rated: readonly Rated[]): ReadonlyMap<Row['fit'], number> {
  const ratios = new Map<Row['fit'], number[]>();
  for (const { row, measured } of rated) {
    const expected = expectedOf(row);
    if (measured !== undefined && expected !== undefined && row.readsBytes >= TELLING_BYTES) ratios.set(row.fit, [...(ratios.get(row.fit) ?? []), measured / expected]);
  }
  return new Map([...ratios].map(([fit, all]) => [fit, all.toSorted((a, b) => a - b)[Math.floor((all.length - 1) / 2)] ?? 1]));
}

function speedOf(row: Row, measured: number | undefined, correction: number | undefined): RecommendedModel['speed'] {
  const rounded = (tokens: number) => (tokens < 10 ? Math.max(0.1, Math.round(tokens * 10) / 10) : Math.round(tokens));
  if (measured !== undefined && measured > 0) return { tokensPerSecond: rounded(measured), from: 'measured' };
  const expected = expectedOf(row);
  if (expected === undefined) return undefined;
  return correction === undefined ? { tokensPerSecond: rounded(expected), from: 'expected' } : { tokensPerSecond: rounded(expected * correction), from: 'corrected' };
}

/** Undefined where nothing is known of the memory it is read from. What the CPU has of a model takes nearly all the time. */
function expectedOf({ fit, gpuPercent, readsBytes, onGpu }: Row): number | undefined {
  if (fit === 'gpu') return onGpu;
  if (fit === 'no') return undefined;
  return expectedTokensPerSecond((readsBytes * (100 - gpuPercent)) / 100, [{ bandwidth: USUAL_CPU_BANDWIDTH, bytes: 1 }]);
}

/** An engine may list a catalogue's model by another tag: then its name without it and its size say which it is. */
function isThatModel(row: CatalogueModel, { name, parameterSize, quantization }: Model): boolean {
  if (isSameModel(row.name, name)) return true;
  const billions = billionsOf(parameterSize);
  const isSameSize = billions !== undefined && Math.abs(billions / row.parametersBillions - 1) < 0.1;
  return isSameSize && quantization === row.quantization && baseOf(row.name) === baseOf(name);
}

function baseOf(name: string): string | undefined {
  const parts = parseModelName(name);
  return parts && [parts.host, parts.namespace, parts.model].join('/').toLowerCase();
}

/** "3.2B" → 3.2, "268.1M" → 0.2681. */
function billionsOf(parameterSize: string | undefined): number | undefined {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([KMBT])$/i.exec(parameterSize ?? '') ?? [];
  const factor = { K: 1e-6, M: 1e-3, B: 1, T: 1e3 }[unit?.toUpperCase() ?? ''];
  const billions = Number(digits) * (factor ?? Number.NaN);
  return billions > 0 ? Number(billions.toPrecision(6)) : undefined;
}

/** Of a model that the catalogue does not have, by what its engine says of it, and its name. */
function tasksOf({ name, capabilities = ['completion'] }: Model): ModelTask[] {
  const completes = capabilities.includes('completion');
  return [
    ...(completes ? (['chat'] as const) : []),
    ...(completes && (capabilities.includes('insert') || /code/i.test(name)) ? (['code'] as const) : []),
    ...(capabilities.includes('embedding') ? (['embed'] as const) : []),
    ...(completes && capabilities.includes('vision') ? (['vision'] as const) : []),
    ...(completes && capabilities.includes('thinking') ? (['reasoning'] as const) : []),
  ];
}
