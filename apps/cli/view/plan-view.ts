/** What a machine is good for: how an engine gets its GPUs, how it is best set, which models fit. */
import type { GpuCandidate, HardwarePlan, ModelFit } from '#contracts';
import type { Painter } from './style.js';
import { gibibytes } from './units.js';

const WAYS: Readonly<Record<GpuCandidate['way'], string>> = {
  nvidia: 'NVIDIA runtime',
  'nvidia-cdi': 'NVIDIA through CDI',
  jetson: 'Jetson',
  rocm: 'ROCm',
  vulkan: 'Vulkan',
  cpu: 'CPU',
};
const FITS: Readonly<Record<ModelFit['fit'], string>> = { gpu: 'on the GPU', partial: 'partly on the GPU', cpu: 'on the CPU', no: 'too large' };
/** Models named in each row; the rest is counted. */
const NAMED = 6;

export function planView({ candidates, settings, models, recommended }: HardwarePlan, paint: Painter): string[] {
  const heading = (text: string) => paint('bold', text.padEnd(8));
  const rows = (['gpu', 'partial', 'cpu', 'no'] as const).flatMap((fit) => row(fit, models.filter((model) => model.fit === fit), paint));
  return [
    ...candidates.map(({ way, reason }, index) => `  ${index === 0 ? heading('engine') : heading('')}  ${index + 1}. ${WAYS[way]}: ${reason}`),
    `  ${heading('settings')}  ${settings.parallel} at once, context of ${settings.contextLength.toLocaleString('en')} tokens, ${settings.flashAttention ? 'flash attention' : 'no flash attention'}, ${settings.kvCacheType} cache`,
    ...settings.reasons.map((reason) => `  ${heading('')}  ${paint('dim', reason)}`),
    ...rows.map((text, index) => `  ${heading(index === 0 ? 'models' : '')}  ${text}`),
    ...(recommended === undefined ? [] : [`  ${heading('try')}  ${paint('cyan', `ollamesh pull ${recommended}`)}${speedOf(models.find(({ model }) => model === recommended), paint)}`]),
  ];
}

function speedOf(model: ModelFit | undefined, paint: Painter): string {
  return model?.tokensPerSecond === undefined ? '' : paint('dim', `  (about ${model.tokensPerSecond} tokens a second)`);
}

function row(fit: ModelFit['fit'], models: readonly ModelFit[], paint: Painter): string[] {
  if (models.length === 0) return [];
  const named = models.slice(0, NAMED).map(({ model, needsBytes, gpuPercent }) => `${model} ${paint('dim', `(${gibibytes(needsBytes)} GiB${fit === 'partial' ? `, ${gpuPercent} %` : ''})`)}`);
  const more = models.length > NAMED ? ` and ${models.length - NAMED} more` : '';
  return [`${FITS[fit].padEnd(17)}  ${named.join(', ')}${more}`];
}
