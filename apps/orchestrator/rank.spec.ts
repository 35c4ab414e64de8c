/** Which engine is used: the precedence, and the promises that the design makes by example. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { EngineDriver } from '#contracts';
import type { Candidate, NotMe } from './drivers/driver.js';
import { rank } from './rank.js';

const GB = 1e9;

function can(driver: EngineDriver, facts: Partial<Candidate> = {}): Candidate {
  return { driver, found: `${driver} is here.`, attached: false, gpu: false, downloadBytes: 0, start: () => Promise.reject(new Error('not started here')), ...facts };
}
const not = (driver: EngineDriver): NotMe => ({ driver, notMe: `No ${driver}.` });
const order = (...answers: (Candidate | NotMe)[]) => rank(answers).candidates.map(({ driver }) => driver);

describe('rank', () => {
  it.each<[string, (Candidate | NotMe)[], EngineDriver[]]>([
    ['an Ollama that runs already needs no other', [can('docker', { gpu: true }), can('external', { attached: true }), can('embedded')], ['external', 'docker', 'embedded']],
    ['an installed Ollama spares pulling a container image', [can('docker', { downloadBytes: 2 * GB }), can('native'), can('embedded')], ['native', 'embedded', 'docker']],
    ['a GPU that works beats all that is here', [can('embedded'), can('native'), can('docker', { gpu: true })], ['docker', 'native', 'embedded']],
    ['a GPU is worth a small download', [can('embedded'), can('docker', { gpu: true, downloadBytes: 0.4 * GB })], ['docker', 'embedded']],
    ['while a large one for the GPU is fetched, the best that is here answers', [can('embedded'), can('native'), can('docker', { gpu: true, downloadBytes: 2 * GB })], ['native', 'embedded', 'docker']],
    ['Apple Silicon: native with Metal, never a container on the CPU', [can('docker'), can('native', { gpu: true }), can('embedded', { gpu: true })], ['native', 'embedded', 'docker']],
    ['Apple Silicon without Ollama: the built-in engine with Metal, never a container on the CPU', [can('docker'), not('native'), can('embedded', { gpu: true })], ['embedded', 'docker']],
    ['a download that nobody named: the built-in engine answers', [can('docker', { downloadBytes: 3 * GB }), not('native'), can('embedded')], ['embedded', 'docker']],
    ['a download of unknown size is a download', [can('docker', { downloadBytes: undefined }), can('embedded')], ['embedded', 'docker']],
    ['with everything here: docker, native, embedded', [can('embedded'), can('native'), can('docker')], ['docker', 'native', 'embedded']],
    ['nothing but the built-in engine', [not('external'), not('docker'), can('embedded')], ['embedded']],
    ['nothing at all', [not('external'), not('docker')], []],
  ])('%s', (_case, answers, expected) => expect(order(...answers)).toEqual(expected));

  it('choices: every driver is listed as asked, one is chosen, the others say why not and how to get them', () => {
    const { choices } = rank([not('external'), can('docker', { downloadBytes: 2 * GB }), can('native', { gpu: true }), can('embedded')]);
    expect(choices).toEqual([
      { driver: 'external', chosen: false, reason: 'No external.' },
      { driver: 'docker', chosen: false, reason: 'docker is here. Another engine can use the GPU. To use it: engine.driver "docker".' },
      { driver: 'native', chosen: true, reason: 'native is here.' },
      { driver: 'embedded', chosen: false, reason: 'embedded is here. Another engine can use the GPU. To use it: engine.driver "embedded".' },
    ]);
    expect(rank([can('external', { attached: true }), can('docker')]).choices[1]?.reason).toContain('another engine is named or runs already');
    expect(rank([can('docker', { downloadBytes: 2 * GB }), can('embedded')]).choices[0]?.reason).toContain('downloaded first');
    expect(rank([can('docker'), can('embedded')]).choices[1]?.reason).toContain('In reserve');
  });

  it('later: a large download that nobody named is announced with its size, and is what comes once it is here', () => {
    const docker = can('docker', { gpu: true, downloadBytes: 2.4 * GB });
    const { later, choices } = rank([docker, can('embedded')]);
    expect(later).toBe(docker);
    expect(choices).toEqual([
      { driver: 'docker', chosen: false, reason: 'docker is here. It is the best, so it is downloaded (2.4 GB) while embedded answers.' },
      { driver: 'embedded', chosen: true, reason: 'embedded is here.' },
    ]);
    expect(rank([can('docker', { gpu: true, downloadBytes: undefined }), can('embedded')]).choices[0]?.reason).toContain('its size is not known yet');
  });

  it('later: nothing is put off that was named, is small, or has nothing to stand in for it', () => {
    const docker = can('docker', { gpu: true, downloadBytes: 2.4 * GB });
    expect(rank([docker], true).later).toBeUndefined();
    expect(rank([docker]).candidates).toEqual([docker]);
    expect(rank([docker]).later).toBeUndefined();
    expect(rank([can('docker', { gpu: true, downloadBytes: 0.4 * GB }), can('embedded')]).later).toBeUndefined();
    expect(rank([can('docker', { downloadBytes: 2.4 * GB }), can('embedded')]).later).toBeUndefined(); // Not better than what is here.
  });

  it('property: the order of the answers does not matter, and exactly the best is chosen', () => {
    const candidate = fc.record({ attached: fc.boolean(), gpu: fc.boolean(), downloadBytes: fc.constantFrom(0, GB, undefined) });
    fc.assert(
      fc.property(fc.tuple(candidate, candidate, candidate, candidate), fc.infiniteStream(fc.nat()), (facts, random) => {
        const drivers = ['external', 'docker', 'native', 'embedded'] as const;
        const answers = drivers.map((driver, index) => can(driver, facts[index]));
        const shuffled = answers.map((answer) => ({ answer, at: random.next().value as number })).sort((a, b) => a.at - b.at).map(({ answer }) => answer);
        const { candidates, choices } = rank(shuffled);
        expect(candidates).toEqual(rank(answers).candidates);
        expect(choices.filter(({ chosen }) => chosen).map(({ driver }) => driver)).toEqual([candidates[0]?.driver]);
      }),
    );
  });
});
