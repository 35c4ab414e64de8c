/** The official `ollama` package. */
import { expect } from '@jest/globals';
import { Ollama } from 'ollama';
import { ANSWER, type Meshes, OSLO, PIXEL, QUESTION, SCHEMA, WEATHER } from '../meshes.js';
import type { CompatibilityTable } from '../table.js';

const ASK = [{ role: 'user', content: QUESTION }];

export function ollamaJs(table: CompatibilityTable, meshes: Meshes): void {
  const { can } = table.client(['ollama']);
  const real = () => new Ollama({ host: meshes.real });
  const played = () => new Ollama({ host: meshes.played });

  can('list models', async () => {
    const { models } = await real().list();
    expect(models.find(({ name }) => name === 'guide:latest')).toMatchObject({ size: expect.any(Number), details: { family: 'llama' } });
    await real().chat({ model: 'guide', messages: ASK, options: { num_predict: 1 } });
    expect((await real().ps()).models.map(({ name }) => name)).toContain('guide:latest');
    expect((await real().version()).version).toMatch(/^\d/);
  });
  can('describe a model', async () => {
    expect(await real().show({ model: 'guide' })).toMatchObject({ capabilities: ['completion'], details: { format: 'gguf' } });
  });
  can('chat', async () => {
    const { message, done_reason, eval_count } = await real().chat({ model: 'guide', messages: ASK, options: { temperature: 0 } });
    expect([message.content, done_reason, eval_count > 5]).toEqual([expect.stringMatching(ANSWER), 'stop', true]);
  });
  can('chat, streamed', async () => {
    const read = async (client: Ollama, model: string, got: (piece: string) => void = () => undefined) => {
      let text = '';
      for await (const { message } of await client.chat({ model, messages: ASK, stream: true, options: { temperature: 0 } })) {
        text += message.content;
        got(message.content);
      }
      return text;
    };
    expect(await read(real(), 'guide')).toMatch(ANSWER);
    await meshes.inPieces((got) => read(played(), 'tinytools', got));
  });
  can('complete a prompt', async () => {
    expect((await real().generate({ model: 'guide', prompt: QUESTION, options: { temperature: 0 } })).response).toMatch(ANSWER);
  });
  can('count tokens', async () => {
    expect(await real().chat({ model: 'guide', messages: ASK })).toMatchObject({ prompt_eval_count: expect.any(Number), eval_count: expect.any(Number), total_duration: expect.any(Number) });
  });
  can('call tools', async () => {
    meshes.play('07-chat-tool-call-stream');
    const { message } = await played().chat({ model: 'tinytools', messages: ASK, tools: [{ type: 'function', function: { ...WEATHER, parameters: { ...WEATHER.parameters, required: ['city'] } } }] });
    expect(message.tool_calls?.map((call) => call.function)).toEqual([expect.objectContaining({ name: 'get_weather', arguments: OSLO })]);
    expect(meshes.asked).toMatchObject({ tools: [{ function: { name: 'get_weather' } }] });
  });
  can('structured output', async () => {
    const { message } = await real().chat({ model: 'guide', messages: ASK, format: SCHEMA, options: { num_predict: 40 } });
    expect(['yes', 'no']).toContain((JSON.parse(message.content) as { answer: string }).answer);
  });
  can('thoughts', async () => {
    const { message } = await real().chat({ model: 'tinythink', messages: ASK, think: true, options: { num_predict: 8 } });
    expect(message.thinking).toMatch(/\w/);
  });
  can('pictures', async () => {
    meshes.play('07-chat-nostream');
    await played().chat({ model: 'tinytools', messages: [{ role: 'user', content: 'what', images: [PIXEL] }] });
    expect(meshes.asked).toMatchObject({ messages: [{ images: [PIXEL] }] });
  });
  can('scores of tokens', async () => {
    const { logprobs } = await real().chat({ model: 'guide', messages: ASK, logprobs: true, top_logprobs: 2, options: { num_predict: 3 } });
    expect(logprobs).toHaveLength(3);
    expect(logprobs?.[0]?.top_logprobs).toHaveLength(2);
  });
  can('embeddings', async () => {
    const { embeddings } = await real().embed({ model: 'tinyembed', input: ['one', 'two'] });
    expect(embeddings.map((vector) => vector.length > 10)).toEqual([true, true]);
  });
  can('options and keep-alive', async () => {
    meshes.play('07-chat-nostream');
    await played().chat({ model: 'tinytools', messages: ASK, keep_alive: '7m', options: { num_ctx: 512, seed: 3, mirostat: 1 } as never });
    expect(meshes.asked).toMatchObject({ keep_alive: '7m', options: { num_ctx: 512, seed: 3, mirostat: 1 } });
  });
  can('leave, and free the engine', async () => {
    meshes.ramble();
    const before = meshes.engine.seen('/api/chat').length;
    const client = played();
    const reading = (async () => {
      for await (const _part of await client.chat({ model: 'tinytools', messages: ASK, stream: true })) client.abort();
    })();
    await expect(reading).rejects.toThrow(/abort/i);
    await (await meshes.engine.arrival('/api/chat', before + 1)).dropped;
  });
  can('an error of its own kind', async () => {
    await expect(real().chat({ model: 'nobody', messages: ASK })).rejects.toMatchObject({ name: 'ResponseError', status_code: 404, message: "model 'nobody' not found" });
  });
  can('pull, copy and remove models', async () => {
    const steps: string[] = [];
    for await (const { status } of await real().pull({ model: 'guide', stream: true })) steps.push(status);
    expect(steps.at(-1)).toBe('success');
    await real().copy({ source: 'guide', destination: 'copied' });
    expect((await real().list()).models.map(({ name }) => name)).toContain('copied:latest');
    await real().delete({ model: 'copied' });
    expect((await real().list()).models.map(({ name }) => name)).not.toContain('copied:latest');
  });
  can('make models', async () => {
    meshes.engine.on('/api/create', { headers: { 'content-type': 'application/x-ndjson' }, lines: [{ status: 'creating new layer' }, { status: 'success' }] });
    const steps: string[] = [];
    for await (const { status } of await played().create({ model: 'mine', from: 'tinytools', system: 'Be brief.', stream: true })) steps.push(status);
    expect(steps).toEqual(['creating new layer', 'success']);
    expect(meshes.engine.seen('/api/create').at(-1)?.body).toMatchObject({ model: 'mine', from: 'tinytools', system: 'Be brief.' });
  });
}
