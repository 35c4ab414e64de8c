/** An answer that is played back at one gateway, as viewers at another one see it, over a real bus without JetStream. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { StoredLog } from '#contracts';
import { type FakeGateway, openGateway } from '../../../test/fakes/fake-gateway.js';
import { TestBus } from '../../../test/fakes/test-bus.js';

const TOKENS = 12_000;

/** Longer than one message of a replay may be. */
function longLog(): StoredLog {
  const token = 'länger als ein Wort ';
  return {
    epoch: 1,
    parts: [{ kind: 'thinking', text: 'Hm.' }, { kind: 'text', text: token.repeat(TOKENS) }],
    steps: [-1 - 3, -1 - token.length, ...Array.from({ length: TOKENS - 1 }, () => token.length), 0],
    ending: { kind: 'done', finishReason: 'stop', counters: { eval_count: TOKENS } },
  };
}

describe('playback', () => {
  let bus: TestBus;
  let here: FakeGateway;
  let there: FakeGateway;
  beforeAll(async () => {
    bus = await TestBus.start();
    [here, there] = [openGateway(await bus.connect('gateway')), openGateway(await bus.connect('gateway'))];
  });
  afterAll(async () => {
    for (const { sessions, relays } of [here, there]) {
      await sessions.sayFarewell();
      await relays.sayFarewell();
    }
    await bus.close();
  });

  it('elsewhere: the same stream, whole, and from any position', async () => {
    const log = longLog();
    const { id } = here.relays.playBack({ model: 'm:latest', log });
    await here.bus.flush();
    const relay = await there.relays.get(id);
    expect(relay.live).toBe(false);
    expect(relay.view()).toEqual((await here.relays.get(id)).view());
    const viewer = await there.watch(id, `1-${TOKENS - 5}`);
    expect(viewer.text).toBe('länger als ein Wort '.repeat(6));
  });

  it('the owner: cancels what has ended already, to no effect, at any gateway', async () => {
    const { id, ownerToken } = here.relays.playBack({ model: 'm:latest', log: longLog() });
    await here.bus.flush();
    await there.relays.cancel(id, { ownerToken });
    expect((await there.relays.get(id)).view().done?.finishReason).toBe('stop');
  });

  it('counts: no producer beats for it, and nobody takes it for lost', async () => {
    const { id } = here.relays.playBack({ model: 'm:latest', log: longLog() });
    expect(here.relays.counts.live).toBe(0);
    expect(here.relays.ended(id)).toBeDefined();
  });
});
