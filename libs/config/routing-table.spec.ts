/** What a request's name stands for, by the configuration and the environment. */
import { describe, expect, it } from '@jest/globals';
import { RoutingTable } from './routing-table.js';
import { Config } from './schema.js';

const provider = { type: 'openai-compatible', url: 'http://a/v1' };
const table = (input: object, nodeEnv?: string) => new RoutingTable(Config.parse(input), nodeEnv);
const namesOf = (routing: RoutingTable, asked?: string) => routing.targetsOf(asked)?.map(({ name }) => name);

describe('routing table', () => {
  it('no name, and auto: what the environment routes; production is that alone which calls itself so', () => {
    const input = { providers: { a: { ...provider, defaultModel: 'm' } }, routing: { development: ['ollama:tiny', 'a'], production: 'a' } };
    for (const nodeEnv of [undefined, 'test', 'development', 'Production']) {
      expect([namesOf(table(input, nodeEnv)), namesOf(table(input, nodeEnv), 'auto:latest')]).toEqual([['ollama:tiny', 'a'], ['ollama:tiny', 'a']]);
    }
    expect([namesOf(table(input, 'production')), namesOf(table(input, 'production'), 'task:chat')]).toEqual([['a'], undefined]);
  });

  it('`ollama` alone is as no routing at all', () => {
    expect([namesOf(table({ routing: { development: 'ollama' } })), table({ routing: { development: 'ollama' } }).names]).toEqual([undefined, []]);
    expect(namesOf(table({ routing: { development: ['ollama:tiny'] } }))).toEqual(['ollama:tiny']);
  });

  it('names: aliases, auto, and of each provider what it may be asked for, or else what is told of its models', () => {
    const providers = { a: { ...provider, defaultModel: 'd', prices: { p: {} } }, b: { ...provider, models: ['x', 'y/z'] } };
    const routing = table({ providers, routing: { development: 'a:q', aliases: { best: ['a:q', 'a:d', 'b:x'] } } });
    expect(routing.names).toEqual([
      { name: 'best:latest', targets: ['a:q', 'a:d', 'b:x'] },
      { name: 'auto:latest', targets: ['a:q'] },
      ...['a:d', 'a:p', 'a:q', 'b:x', 'b:y/z'].map((name) => ({ name, targets: [name] })),
    ]);
  });

  it('a model that a provider may not be asked for by name: is refused as such, and may stand behind an alias', () => {
    const routing = table({ providers: { a: { ...provider, models: ['m'] } }, routing: { aliases: { best: ['a:n'] } } });
    expect([namesOf(routing, 'a:m'), namesOf(routing, 'best:latest'), routing.find('a:n')?.map(({ name }) => name)]).toEqual([['a:m'], ['a:n'], ['a:n']]);
    expect(() => routing.targetsOf('a:n')).toThrow(expect.objectContaining({ code: 'model_not_found', details: { model: 'a:n', available: ['m'] } }));
  });

  it('an alias goes before a provider of that name, whatever case it is asked for in', () => {
    const routing = table({ providers: { a: provider }, routing: { aliases: { 'a:m': ['ollama:tiny'] } } });
    expect([namesOf(routing, 'A:M'), namesOf(routing, 'a:n')]).toEqual([['ollama:tiny'], ['a:n']]);
  });
});
