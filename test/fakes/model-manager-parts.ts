/** model-manager's parts on a test's bus, with an orchestrator that points at a fake engine. */
import { Config } from '#config';
import { type Engine, EngineDescribe } from '#contracts';
import { Catalogue } from '../../apps/model-manager/catalogue.js';
import { EngineLink } from '../../apps/model-manager/engine-link.js';
import { Producers } from '../../apps/model-manager/producers.js';
import { Pulls } from '../../apps/model-manager/pulls.js';
import type { FakeOllama } from './fake-ollama.js';
import type { TestBus } from './test-bus.js';

export function engineAt(url: string | undefined, node = 'local'): Engine {
  const since = '2026-01-01T00:00:00Z';
  return { node, state: url ? 'ready' : 'absent', reason: 'As the test says.', since, choices: [], models: [], ...(url !== undefined && { url }) };
}

export async function modelManagerParts(net: TestBus, engine: FakeOllama, models: object = {}) {
  const orchestrator = await net.connect('orchestrator');
  orchestrator.serve(EngineDescribe, () => engineAt(engine.url));
  await orchestrator.flush();
  const bus = await net.connect('model-manager');
  const link = new EngineLink(bus);
  const catalogue = new Catalogue(link, Config.parse({ models }));
  return { bus, link, catalogue, pulls: new Pulls(bus, link, catalogue), producers: new Producers(bus, link, catalogue) };
}
