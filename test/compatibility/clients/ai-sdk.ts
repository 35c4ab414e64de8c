/** The AI SDK: its model functions over the OpenAI-compatible provider, and the transport of its `useChat`. */
import { expect } from '@jest/globals';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { DefaultChatTransport, type UIMessage, embedMany, generateObject, generateText, jsonSchema, readUIMessageStream, streamText, tool } from 'ai';
import { ask } from '../../support/http-client.js';
import { until } from '../../support/until.js';
import { ANSWER, type Meshes, OSLO, PIXEL, QUESTION, SCHEMA, WEATHER } from '../meshes.js';
import type { CompatibilityTable } from '../table.js';

export function aiSdk(table: CompatibilityTable, meshes: Meshes): void {
  const { can } = table.client(['ai', '@ai-sdk/openai-compatible']);
  const at = (url: string) => createOpenAICompatible({ name: 'ollamesh', baseURL: `${url}/v1`, includeUsage: true, supportsStructuredOutputs: true });
  const real = (model = 'guide') => at(meshes.real).chatModel(model);
  const played = () => at(meshes.played).chatModel('tinytools');
  const once = { maxRetries: 0 };

  can('chat', async () => {
    const { text, finishReason } = await generateText({ ...once, model: real(), prompt: QUESTION, temperature: 0 });
    expect([text, finishReason]).toEqual([expect.stringMatching(ANSWER), 'stop']);
  });
  can('chat, streamed', async () => {
    expect(await streamText({ ...once, model: real(), prompt: QUESTION, temperature: 0 }).text).toMatch(ANSWER);
    await meshes.inPieces(async (got) => {
      const answer = streamText({ ...once, model: played(), prompt: QUESTION });
      for await (const piece of answer.textStream) got(piece);
      return answer.text;
    });
  });
  can('complete a prompt', async () => {
    const { text } = await generateText({ ...once, model: at(meshes.real).completionModel('guide'), prompt: QUESTION, temperature: 0, maxOutputTokens: 5 });
    expect(text).not.toBe('');
  });
  can('count tokens', async () => {
    const { usage } = await generateText({ ...once, model: real(), prompt: QUESTION });
    expect(usage).toMatchObject({ inputTokens: expect.any(Number), outputTokens: expect.any(Number) });
    expect(await streamText({ ...once, model: real(), prompt: QUESTION }).usage).toMatchObject({ outputTokens: expect.any(Number) });
  });
  can('call tools', async () => {
    meshes.play('07-chat-tool-call-stream');
    const { toolCalls } = await generateText({ ...once, model: played(), prompt: QUESTION, tools: { get_weather: tool({ description: 'weather', inputSchema: jsonSchema({ ...WEATHER.parameters, required: ['city'] }) }) } });
    expect(toolCalls).toMatchObject([{ toolName: 'get_weather', input: OSLO }]);
  });
  can('structured output', async () => {
    const { object } = await generateObject({ ...once, model: real(), prompt: QUESTION, schema: jsonSchema<{ answer: string }>({ ...SCHEMA, required: ['answer'] } as never), maxOutputTokens: 40 });
    expect(['yes', 'no']).toContain(object.answer);
  });
  can('thoughts', async () => {
    const { reasoningText } = await generateText({ ...once, model: real('tinythink'), prompt: QUESTION, maxOutputTokens: 8, providerOptions: { ollamesh: { reasoningEffort: 'high' } } });
    expect(reasoningText).toMatch(/\w/);
  });
  can('pictures', async () => {
    meshes.play('07-chat-nostream');
    await generateText({ ...once, model: played(), messages: [{ role: 'user', content: [{ type: 'text', text: 'what' }, { type: 'image', image: PIXEL, mediaType: 'image/png' }] }] });
    expect(meshes.asked).toMatchObject({ messages: [{ content: 'what', images: [PIXEL] }] });
  });
  can('embeddings', async () => {
    const { embeddings } = await embedMany({ ...once, model: at(meshes.real).embeddingModel('tinyembed'), values: ['one', 'two'] });
    expect(embeddings.map((vector) => vector.length > 10)).toEqual([true, true]);
  });
  can('options and keep-alive', async () => {
    meshes.play('07-chat-nostream');
    await generateText({ ...once, model: played(), prompt: QUESTION, providerOptions: { ollamesh: { keep_alive: '7m', options: { num_ctx: 512 } } } });
    expect(meshes.asked).toMatchObject({ keep_alive: '7m', options: { num_ctx: 512 } });
  });
  can('leave, and free the engine', async () => {
    meshes.ramble();
    const before = meshes.engine.seen('/api/chat').length;
    const abort = new AbortController();
    for await (const _piece of streamText({ ...once, model: played(), prompt: QUESTION, abortSignal: abort.signal }).textStream) abort.abort();
    await (await meshes.engine.arrival('/api/chat', before + 1)).dropped;
  });
  can('an error of its own kind', async () => {
    await expect(generateText({ ...once, model: real('nobody'), prompt: QUESTION })).rejects.toMatchObject({ name: 'AI_APICallError', statusCode: 404, message: expect.stringContaining('nobody') });
  });
}

const USER: UIMessage = { id: 'm1', role: 'user', parts: [{ type: 'text', text: QUESTION }] };

export function useChat(table: CompatibilityTable, meshes: Meshes): void {
  const { can } = table.client(['ai'], 'useChat');
  const at = (url: string, body: object = {}) => new DefaultChatTransport({ api: `${url}/ai/chat`, body });
  const send = (transport: DefaultChatTransport<UIMessage>, chatId: string, messages = [USER], abortSignal?: AbortSignal) =>
    transport.sendMessages({ chatId, messages, abortSignal, trigger: 'submit-message', messageId: undefined });

  /** The message as it is in the end. */
  async function read(stream: Awaited<ReturnType<typeof send>>, got: (text: string) => void = () => undefined): Promise<{ message: UIMessage }> {
    let message: UIMessage | undefined;
    for await (message of readUIMessageStream({ stream, terminateOnError: true })) got(textOf(message));
    if (!message) throw new Error('The stream had no message.');
    return { message };
  }
  const textOf = ({ parts }: UIMessage) => parts.map((part) => (part.type === 'text' ? part.text : '')).join('');

  can('chat, streamed', async () => {
    const { message } = await read(await send(at(meshes.real, { model: 'guide', options: { temperature: 0 } }), 'chat-1'));
    expect(textOf(message)).toMatch(ANSWER);
    await meshes.inPieces(async (got) => textOf((await read(await send(at(meshes.played), 'chat-0'), got)).message));
  });
  can('count tokens', async () => {
    const { message } = await read(await send(at(meshes.real, { model: 'guide' }), 'chat-2'));
    expect(message.metadata).toMatchObject({ usage: { inputTokens: expect.any(Number), outputTokens: expect.any(Number) } });
  });
  can('call tools', async () => {
    meshes.play('07-chat-tool-call-stream');
    const transport = at(meshes.played, { model: 'tinytools', tools: [{ type: 'function', function: WEATHER }] });
    const { message } = await read(await send(transport, 'chat-3'));
    const call = message.parts.find((part) => part.type === 'tool-get_weather');
    expect(call).toMatchObject({ state: 'input-available', input: OSLO });
    meshes.play('07-chat-nostream');
    const answered = { ...message, parts: message.parts.map((part) => (part === call ? { ...part, state: 'output-available', output: { celsius: 21 } } : part)) } as UIMessage;
    await read(await send(transport, 'chat-3', [USER, answered]));
    expect(meshes.asked).toMatchObject({ messages: [{ role: 'user' }, { tool_calls: [{ function: { arguments: OSLO } }] }, { role: 'tool', content: '{"celsius":21}' }] });
  });
  can('thoughts', async () => {
    const { message } = await read(await send(at(meshes.real, { model: 'tinythink', think: true, options: { num_predict: 8 } }), 'chat-4'));
    expect(message.parts.find((part) => part.type === 'reasoning')).toMatchObject({ text: expect.stringMatching(/\w/), state: 'done' });
  });
  can('pictures', async () => {
    meshes.play('07-chat-nostream');
    const parts: UIMessage['parts'] = [{ type: 'text', text: 'what' }, { type: 'file', mediaType: 'image/png', url: `data:image/png;base64,${PIXEL}` }];
    await read(await send(at(meshes.played, { model: 'tinytools' }), 'chat-5', [{ ...USER, parts }]));
    expect(meshes.asked).toMatchObject({ messages: [{ content: 'what', images: [PIXEL] }] });
  });
  can('an error of its own kind', async () => {
    await expect(send(at(meshes.real, { model: 'nobody' }), 'chat-6')).rejects.toThrow(/nobody/);
    meshes.engine.on('/api/chat', { lines: [{ model: 'x', created_at: '', message: { role: 'assistant', content: 'a' }, done: false }, { error: 'the runner died' }] });
    await expect(read(await send(at(meshes.played), 'chat-7'))).rejects.toThrow(/the runner died/);
  });
  can('come back to a running answer', async () => {
    const transport = at(meshes.played);
    expect(await transport.reconnectToStream({ chatId: 'nobody-chats' })).toBeNull();
    const words = ['a', 'b', 'c', 'd', 'e', 'f'].map((content) => ({ model: 'x', created_at: '', message: { role: 'assistant', content }, done: false }));
    meshes.engine.on('/api/chat', { lines: [...words, { model: 'x', created_at: '', message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop' }], everyMs: 200 });
    const page = new AbortController();
    await (await send(transport, 'chat-8', [USER], page.signal)).getReader().read();
    page.abort();
    const again = await transport.reconnectToStream({ chatId: 'chat-8' });
    if (!again) throw new Error('It was idle.');
    expect(textOf((await read(again)).message)).toBe('abcdef');
    expect(await transport.reconnectToStream({ chatId: 'chat-8' })).toBeNull();
  });
  can('stop a running answer', async () => {
    meshes.ramble();
    const before = meshes.engine.seen('/api/chat').length;
    const reading = read(await send(at(meshes.played), 'chat-9'));
    await meshes.engine.arrival('/api/chat', before + 1);
    expect((await ask(`${meshes.played}/ai/chat/chat-9/stop`, { method: 'POST' })).status).toBe(204);
    await (await meshes.engine.arrival('/api/chat', before + 1)).dropped;
    await reading;
    await until('it is idle', async () => (await ask(`${meshes.played}/ai/chat/chat-9/stream`)).status === 204);
  });
}
