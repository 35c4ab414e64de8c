/** The official `openai` package. */
import { expect } from '@jest/globals';
import OpenAI from 'openai';
import { ANSWER, type Meshes, PIXEL, QUESTION, SCHEMA, WEATHER } from '../meshes.js';
import type { CompatibilityTable } from '../table.js';

const ASK = [{ role: 'user' as const, content: QUESTION }];
const TOOLS = [{ type: 'function' as const, function: { ...WEATHER, parameters: { ...WEATHER.parameters } } }];

export function openaiNode(table: CompatibilityTable, meshes: Meshes): void {
  const { can, not } = table.client(['openai']);
  const at = (url: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  const real = () => at(meshes.real);
  const played = () => at(meshes.played);

  can('list models', async () => {
    const ids: string[] = [];
    for await (const model of real().models.list()) ids.push(model.id);
    expect(ids).toContain('guide:latest');
  });
  can('describe a model', async () => {
    expect(await real().models.retrieve('guide')).toMatchObject({ id: 'guide', object: 'model', created: expect.any(Number) });
  });
  can('chat', async () => {
    const { choices } = await real().chat.completions.create({ model: 'guide', messages: ASK, temperature: 0 });
    expect(choices).toEqual([expect.objectContaining({ message: expect.objectContaining({ role: 'assistant', content: expect.stringMatching(ANSWER) }), finish_reason: 'stop' })]);
  });
  can('chat, streamed', async () => {
    expect(await real().chat.completions.stream({ model: 'guide', messages: ASK, temperature: 0 }).finalContent()).toMatch(ANSWER);
    await meshes.inPieces(async (got) => (await played().chat.completions.stream({ model: 'tinytools', messages: ASK }).on('content', got).finalContent()) ?? '');
  });
  can('complete a prompt', async () => {
    const { choices } = await real().completions.create({ model: 'guide', prompt: QUESTION, temperature: 0 });
    expect(choices[0]?.text).toMatch(ANSWER);
  });
  can('count tokens', async () => {
    const stream = await real().chat.completions.create({ model: 'guide', messages: ASK, stream: true, stream_options: { include_usage: true } });
    let usage: unknown;
    for await (const chunk of stream) usage = chunk.usage;
    expect(usage).toMatchObject({ prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number), total_tokens: expect.any(Number) });
  });
  can('call tools', async () => {
    meshes.play('07-chat-tool-call-stream');
    const stream = played().chat.completions.stream({ model: 'tinytools', messages: ASK, tools: TOOLS });
    const { choices } = await stream.finalChatCompletion();
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [{ id: 'call_kxlp7qam', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } }] } });
    meshes.play('07-chat-nostream');
    const called = choices[0]?.message;
    if (called) await played().chat.completions.create({ model: 'tinytools', messages: [...ASK, called, { role: 'tool', tool_call_id: 'call_kxlp7qam', content: '21 °C' }], tools: TOOLS });
    expect(meshes.asked).toMatchObject({ messages: [{ role: 'user' }, { tool_calls: [{ function: { arguments: { city: 'Oslo' } } }] }, { role: 'tool', tool_name: 'get_weather', content: '21 °C' }] });
  });
  can('structured output', async () => {
    const answer = await real().chat.completions.create({
      model: 'guide', messages: ASK, max_tokens: 40, response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: { ...SCHEMA } } },
    });
    expect(['yes', 'no']).toContain((JSON.parse(answer.choices[0]?.message.content ?? '') as { answer: string }).answer);
  });
  can('thoughts', async () => {
    const { choices } = await real().chat.completions.create({ model: 'tinythink', messages: ASK, reasoning_effort: 'high', max_completion_tokens: 8 });
    expect(choices[0]?.message).toMatchObject({ reasoning: expect.stringMatching(/\w/) });
  });
  can('pictures', async () => {
    meshes.play('07-chat-nostream');
    const content = [{ type: 'text' as const, text: 'what' }, { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${PIXEL}` } }];
    await played().chat.completions.create({ model: 'tinytools', messages: [{ role: 'user', content }] });
    expect(meshes.asked).toMatchObject({ messages: [{ content: 'what', images: [PIXEL] }] });
  });
  can('scores of tokens', async () => {
    const { choices } = await real().chat.completions.create({ model: 'guide', messages: ASK, logprobs: true, top_logprobs: 2, max_tokens: 3 });
    expect(choices[0]?.logprobs?.content).toHaveLength(3);
    expect(choices[0]?.logprobs?.content?.[0]?.top_logprobs).toHaveLength(2);
  });
  can('embeddings', async () => {
    const { data, usage } = await real().embeddings.create({ model: 'tinyembed', input: ['one', 'two'] });
    expect(data.map(({ embedding }) => embedding.length > 10 && embedding.every(Number.isFinite))).toEqual([true, true]);
    expect(usage.prompt_tokens).toBeGreaterThan(1);
  });
  can('options and keep-alive', async () => {
    meshes.play('07-chat-nostream');
    const beside = { keep_alive: '7m', options: { num_ctx: 512 } };
    await played().chat.completions.create({ model: 'tinytools', messages: ASK, max_tokens: 9, stop: 'x', ...beside });
    expect(meshes.asked).toMatchObject({ keep_alive: '7m', options: { num_ctx: 512, num_predict: 9, stop: ['x'] } });
  });
  can('leave, and free the engine', async () => {
    meshes.ramble();
    const before = meshes.engine.seen('/api/chat').length;
    const stream = await played().chat.completions.create({ model: 'tinytools', messages: ASK, stream: true });
    for await (const _chunk of stream) stream.controller.abort();
    await (await meshes.engine.arrival('/api/chat', before + 1)).dropped;
  });
  can('an error of its own kind', async () => {
    await expect(real().chat.completions.create({ model: 'nobody', messages: ASK })).rejects.toMatchObject({ constructor: OpenAI.NotFoundError, code: 'model_not_found', requestID: expect.stringMatching(/^req_/) });
    await expect(real().chat.completions.create({ model: 'guide', messages: ASK, temperature: 'warm' as never })).rejects.toMatchObject({ constructor: OpenAI.BadRequestError, param: 'temperature' });
  });
  can('the responses API', async () => {
    const { output_text: text, usage } = await real().responses.create({ model: 'guide', input: QUESTION, temperature: 0 });
    expect([text, (usage?.output_tokens ?? 0) > 5]).toEqual([expect.stringMatching(ANSWER), true]);
    const asked = { input: [{ role: 'user' as const, content: [{ type: 'input_text' as const, text: QUESTION }] }], temperature: 0 };
    const whole = await real().responses.stream({ model: 'guide', ...asked }).finalResponse();
    expect([whole.output_text, whole.status]).toEqual([expect.stringMatching(ANSWER), 'completed']);
    await meshes.inPieces(async (got) => {
      const stream = played().responses.stream({ model: 'tinytools', ...asked });
      stream.on('response.output_text.delta', ({ delta }) => got(delta));
      return (await stream.finalResponse()).output_text;
    });
    meshes.play('07-chat-tool-call-stream');
    const called = await played().responses.create({ model: 'tinytools', input: QUESTION, tools: [{ type: 'function', strict: false, name: WEATHER.name, parameters: { ...WEATHER.parameters } }] });
    expect(called.output).toMatchObject([{ type: 'function_call', name: 'get_weather', arguments: '{"city":"Oslo"}' }]);
  });
  not('pull, copy and remove models', 'OpenAI’s API has nothing of the kind; it lists and describes models only.');
}
