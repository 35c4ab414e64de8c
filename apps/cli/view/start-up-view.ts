/** The start-up view: line by line what was looked for, what was chosen and why; plain text, coloured on a terminal, or JSON. */
import { styleText } from 'node:util';
import type { Engine, Hardware, Model } from '#contracts';
import { amounts, graphics } from './engine-lines.js';

export type StartUpFact =
  | { readonly what: 'config'; readonly file: string | undefined; readonly notices: readonly string[] }
  | { readonly what: 'bus'; readonly url: string; readonly reason: string }
  | { readonly what: 'hardware'; readonly hardware: Hardware }
  | { readonly what: 'engine'; readonly engine: Engine }
  | { readonly what: 'gateway'; readonly url: string; readonly wantedPort: number; readonly port: number; readonly keeps: string }
  | { readonly what: 'ready'; readonly url: string; readonly models: readonly Model[]; readonly model: string | undefined; readonly afterMs: number; /** What ends it, a sentence; Ctrl-C if not set. */ readonly ends?: string };

export interface View {
  tell(fact: StartUpFact): void;
}

const BUILT_IN_MODEL = 'guide:latest';
type Style = Parameters<typeof styleText>[0];

/** One JSON object a line, for machines. */
export function jsonView(write: (text: string) => void): View {
  return { tell: (fact) => write(`${JSON.stringify(fact)}\n`) };
}

/** Lines for people. */
export class TextView implements View {
  readonly #write: (text: string) => void;
  readonly #colour: boolean;
  #hardwareTold = false;
  #choices = '';
  #engine = '';
  #models = '';
  #download = '';
  #gpu = '';
  #refused: string | undefined;

  constructor(write: (text: string) => void, colour: boolean) {
    this.#write = write;
    this.#colour = colour;
  }

  tell(fact: StartUpFact): void {
    switch (fact.what) {
      case 'config':
        if (fact.file !== undefined) this.#line('config', fact.file);
        for (const notice of fact.notices) this.#line('config', notice, 'yellow');
        break;
      case 'bus':
        this.#line('bus', fact.reason);
        break;
      case 'hardware':
        if (!this.#hardwareTold) this.#tellHardware(fact.hardware);
        this.#hardwareTold = true;
        break;
      case 'engine':
        this.#tellEngine(fact.engine);
        break;
      case 'gateway':
        if (fact.wantedPort !== 0 && fact.port !== fact.wantedPort) {
          this.#line('gateway', `port ${fact.wantedPort} is taken, so it listens on ${fact.port}`, 'yellow');
        }
        this.#line('gateway', `listens on ${fact.url}`);
        this.#line('gateway', `keeps sessions and finished streams ${fact.keeps}`, 'dim');
        break;
      case 'ready':
        this.#tellReady(fact);
        break;
    }
  }

  #tellHardware({ cpu, memory, os, gpus, findings, warnings }: Hardware): void {
    this.#line('hardware', `${cpu.brand}, ${cpu.cores} cores, ${gigabytes(memory.totalBytes)} memory, ${os.distribution} ${os.release}`.trim());
    for (const { name, vramTotalBytes } of gpus) this.#line('hardware', `GPU ${name}${vramTotalBytes ? `, ${gigabytes(vramTotalBytes)} VRAM` : ''}`);
    for (const finding of findings) this.#line('hardware', finding, 'dim');
    for (const { problem, fix } of warnings) this.#line('hardware', fix ? `${problem} ${fix}` : problem, 'yellow');
  }

  #tellEngine(engine: Engine): void {
    const { choices, state, reason, driver, models, lastLogLines, version, gpu, refused } = engine;
    const chosen = JSON.stringify(choices);
    if (choices.length > 0 && chosen !== this.#choices) {
      this.#choices = chosen;
      for (const choice of choices) this.#line('engine', `${choice.chosen ? '✓' : '·'} ${choice.driver}: ${choice.reason}`, choice.chosen ? 'green' : 'dim');
    }
    const now = `${state}: ${reason}`;
    if (state !== 'absent' && now !== this.#engine) {
      this.#engine = now;
      const name = state === 'ready' && driver ? `${driver}${version ? ` ${version}` : ''} is ready: ${reason}` : now;
      this.#line('engine', name, state === 'failed' ? 'red' : state === 'restarting' || state === 'degraded' ? 'yellow' : undefined);
      if (state === 'restarting' || state === 'failed') for (const line of lastLogLines?.slice(-5) ?? []) this.#line('', `  ${line}`, 'dim');
    }
    this.#tellDownload(engine);
    const graphic = gpu ? graphics(gpu) : '';
    if (graphic !== '' && graphic !== this.#gpu) this.#line('engine', graphic, gpu?.state === 'lost' ? 'yellow' : 'dim');
    this.#gpu = graphic || this.#gpu;
    if (refused !== undefined && refused !== this.#refused) for (const line of `not taken over: ${refused}`.split('\n')) this.#line('config', line, 'yellow');
    this.#refused = refused;
    const told = models.map(({ model, state: modelState, detail }) => `${model} ${modelState}${detail ? ` (${detail})` : ''}`).join(', ');
    if (told !== '' && told !== this.#models) {
      this.#models = told;
      this.#line('models', told);
    }
  }

  /** A line at every tenth of what is fetched: for this engine, or for the one that takes over later. */
  #tellDownload({ state, acquired, acquiredPercent, preparing }: Engine): void {
    const [what, progress, percent] = preparing ? [`${preparing.driver}: ${preparing.reason} `, preparing.acquired, preparing.percent] : ['acquiring: ', acquired, acquiredPercent];
    if (!progress || (state !== 'acquiring' && !preparing)) return;
    const tenth = `${what}${Math.floor((percent ?? 0) / 10)}`;
    if (tenth === this.#download) return;
    this.#download = tenth;
    this.#line('engine', `${what}${amounts(progress)}`, 'dim');
  }

  #tellReady({ url, models, model, afterMs, ends = 'Ctrl-C stops everything.' }: Extract<StartUpFact, { what: 'ready' }>): void {
    const listed = models.map(({ name, sizeBytes }) => `${name}${name === model ? ' (default)' : ''}, ${megabytes(sizeBytes)}`).join('; ');
    this.#line('models', listed || 'none yet');
    if (model === BUILT_IN_MODEL) {
      this.#line('models', `${BUILT_IN_MODEL} is a tiny built-in model for trying things out: it knows about 400 answers by heart.`, 'yellow');
      this.#line('models', 'A real one: npx ollamesh pull llama3.2, or models.required in ollamesh.config.ts. With Ollama or Docker it runs on a GPU.', 'yellow');
    } else if (models.length === 0) {
      this.#line('models', 'Pull one: ollamesh pull llama3.2', 'yellow');
    }
    this.#write(`\n  Ready after ${(afterMs / 1_000).toFixed(1)} s. ${ends}\n\n`);
    this.#link('Page', `${url}/`);
    this.#link('API', `${url}/docs`);
    this.#link('Try', 'npx ollamesh chat "What is NATS?"');
    this.#link('', `curl -N ${url}/streams -H 'accept: text/event-stream' -d '{"prompt":"What is NATS?"}'`);
    this.#write('\n');
  }

  #line(topic: string, text: string, style?: Style): void {
    this.#write(`  ${this.#style('bold', topic.padEnd(9))} ${style ? this.#style(style, text) : text}\n`);
  }

  #link(label: string, target: string): void {
    this.#write(`  ${this.#style('bold', label.padEnd(5))} ${this.#style('cyan', target)}\n`);
  }

  #style(style: Style, text: string): string {
    // Whether this view's stream shows colours has been decided; the library would look at standard output.
    return this.#colour ? styleText(style, text, { validateStream: false }) : text;
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
