/** The engines and machines of the mesh: a dot and a word in the top bar, the details behind it. */
import type { Engine, Hardware } from '#client';
import { find, make } from './dom.js';
import { bytes } from './format.js';

const TONE: Partial<Record<Engine['state'], string>> = { ready: 'good', failed: 'bad', stopped: 'bad', absent: 'bad' };

export class MeshState {
  readonly #engines = new Map<string, Engine>();
  readonly #hardware = new Map<string, Hardware>();

  takeEngine(engine: Engine): void {
    this.#engines.set(engine.node, engine);
    this.#draw();
  }

  takeHardware(hardware: Hardware): void {
    this.#hardware.set(hardware.node, hardware);
    this.#draw();
  }

  #draw(): void {
    const engines = [...this.#engines.values()];
    const ready = engines.filter(({ state }) => state === 'ready').length;
    const best = engines.find(({ state }) => state === 'ready') ?? engines[0];
    if (best) {
      find('engine-dot').className = `dot is-${TONE[best.state] ?? 'busy'}`;
      find('engine-word').textContent = engines.length > 1 ? `${ready} of ${engines.length} ready` : wordOf(best);
    }
    const nodes = new Set([...this.#engines.keys(), ...this.#hardware.keys()]);
    const details = make('div', { id: 'mesh-details' }, ...[...nodes].map((node) => nodeView(node, this.#engines.get(node), this.#hardware.get(node), nodes.size > 1)));
    const shown = find('mesh-details');
    if (!shown.isEqualNode(details)) shown.replaceWith(details); // Else a selection in it, or its scroll position, would be gone.
  }
}

function wordOf({ state, acquiredPercent }: Engine): string {
  return state === 'acquiring' && acquiredPercent !== undefined ? `${state} ${Math.floor(acquiredPercent)} %` : state;
}

function nodeView(node: string, engine: Engine | undefined, hardware: Hardware | undefined, named: boolean): HTMLElement {
  return make('section', { class: 'node' }, ...(named ? [make('h2', {}, node)] : []), ...(engine ? engineView(engine) : []), ...(hardware ? hardwareView(hardware) : []));
}

function engineView(engine: Engine): HTMLElement[] {
  return [
    make('h3', {}, 'Engine'),
    make('p', { class: 'state-line' }, make('span', { class: `dot is-${TONE[engine.state] ?? 'busy'}` }), make('strong', {}, wordOf(engine)), ` ${engine.reason}`),
    facts([
      ['Driver', engine.driver],
      ['Version', engine.version],
      ['Since', new Date(engine.since).toLocaleString()],
      ...engine.models.map(({ model, state, detail }): Fact => [model, detail ? `${state}: ${detail}` : state]),
    ]),
    make('h4', {}, 'What could run it'),
    make(
      'ul',
      { class: 'choices' },
      ...engine.choices.map(({ driver, chosen, reason }) => make('li', { class: chosen ? 'is-chosen' : '' }, make('strong', {}, driver), chosen ? make('span', { class: 'tag' }, 'chosen') : '', make('span', {}, reason))),
    ),
    ...(engine.lastLogLines?.length ? [make('pre', { class: 'log', tabindex: '0' }, engine.lastLogLines.join('\n'))] : []),
  ];
}

function hardwareView({ os, cpu, memory, gpus, findings }: Hardware): HTMLElement[] {
  return [
    make('h3', {}, 'Machine'),
    facts([
      ['System', `${os.distribution} ${os.release}, ${os.arch}`],
      ['CPU', `${cpu.brand}, ${cpu.cores} cores, ${Math.round(cpu.loadPercent)} % busy`],
      ['Memory', `${bytes(memory.availableBytes)} free of ${bytes(memory.totalBytes)}`],
      ...(gpus.length > 0 ? gpus.map((gpu): Fact => ['GPU', gpuText(gpu)]) : [['GPU', 'none'] as Fact]),
    ]),
    ...(findings.length > 0 ? [make('ul', { class: 'findings' }, ...findings.map((finding) => make('li', {}, finding)))] : []),
  ];
}

function gpuText({ name, vramTotalBytes, vramUsedBytes, utilizationPercent, temperatureCelsius }: Hardware['gpus'][number]): string {
  const memory = vramTotalBytes === undefined ? [] : [vramUsedBytes === undefined ? bytes(vramTotalBytes) : `${bytes(vramTotalBytes - vramUsedBytes)} free of ${bytes(vramTotalBytes)}`];
  const busy = utilizationPercent === undefined ? [] : [`${Math.round(utilizationPercent)} % busy`];
  const warm = temperatureCelsius === undefined ? [] : [`${Math.round(temperatureCelsius)} °C`];
  return [name, ...memory, ...busy, ...warm].join(', ');
}

type Fact = readonly [string, string | undefined];

function facts(rows: readonly Fact[]): HTMLElement {
  return make('dl', {}, ...rows.flatMap(([name, value]) => (value === undefined ? [] : [make('dt', {}, name), make('dd', {}, value)])));
}
