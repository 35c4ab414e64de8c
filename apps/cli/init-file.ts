/** The config file that `ollamesh init` writes: everything optional, with the models that fit this machine. Pure. */
import type { HardwarePlan, ModelFit } from '#contracts';

const PLACES: Readonly<Record<ModelFit['fit'], string>> = { gpu: 'on the GPU', partial: 'partly on the GPU', cpu: 'on the CPU', no: '' };
/** Models named; more would be a catalogue. */
const NAMED = 8;

export function configFileText({ models, recommended = 'llama3.2:1b' }: Pick<HardwarePlan, 'models' | 'recommended'>): string {
  const fitting = models.filter(({ fit }) => fit !== 'no').slice(0, NAMED);
  const width = Math.max(0, ...fitting.map(({ model }) => model.length));
  const lines = fitting.map(({ model, fit, needsBytes, tasks }) => `    //   ${model.padEnd(width)}  ${(needsBytes / 1024 ** 3).toFixed(1).padStart(5)} GiB  ${PLACES[fit]}  (${tasks.join(', ')})`);
  return `import { defineConfig } from 'ollamesh';

// Everything here is optional: without this file ollamesh finds out by itself. All settings: docs/configuration.md of ollamesh.
export default defineConfig({
  engine: {
    // auto: an Ollama that runs, else Docker, else an installed Ollama, else the built-in engine; what uses a GPU comes first.
    driver: 'auto',
    // url: 'http://127.0.0.1:11434',   // an Ollama that runs already
  },
  models: {
${lines.length > 0 ? `    // What fits this machine, by the memory that it needs:\n${lines.join('\n')}` : '    // No model of the catalogue fits this machine; the built-in "guide" does.'}
    // default: '${recommended}',
    // required: ['${recommended}'],   // pulled at the start if missing
  },
  gateway: {
    port: 11435,   // the next free one if taken
  },
});
`;
}
