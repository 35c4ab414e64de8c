/** LangChain's chat models and embeddings for Ollama and for OpenAI. */
import { expect } from '@jest/globals';
import { HumanMessage } from '@langchain/core/messages';
import { ChatOllama, Ollama, OllamaEmbeddings } from '@langchain/ollama';
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { ANSWER, type Meshes, OSLO, PIXEL, QUESTION, SCHEMA, WEATHER } from '../meshes.js';
import type { CompatibilityTable } from '../table.js';

const TOOL = { type: 'function', function: WEATHER };

export function langchainOllama(table: CompatibilityTable, meshes: Meshes): void {
  const chat = (baseUrl: string, more: object = {}) => new ChatOllama({ baseUrl, model: 'guide', temperature: 0, maxRetries: 0, ...more });
  const played = () => chat(meshes.played, { model: 'tinytools' });
  const client = table.client(['@langchain/ollama']);
  const { can } = client;
  shared(client, () => chat(meshes.real), played, meshes);

  can('structured output', async () => {
    const answer = await chat(meshes.real, { format: SCHEMA, numPredict: 40 }).invoke(QUESTION);
    expect(['yes', 'no']).toContain((JSON.parse(answer.text) as { answer: string }).answer);
  });
  can('complete a prompt', async () => {
    expect(await new Ollama({ baseUrl: meshes.real, model: 'guide', temperature: 0, maxRetries: 0 }).invoke(QUESTION)).toMatch(ANSWER);
  });
  can('thoughts', async () => {
    const { additional_kwargs: more } = await chat(meshes.real, { model: 'tinythink', think: true, numPredict: 8 }).invoke(QUESTION);
    expect(more['reasoning_content']).toMatch(/\w/);
  });
  can('embeddings', async () => {
    const vectors = await new OllamaEmbeddings({ baseUrl: meshes.real, model: 'tinyembed', maxRetries: 0 }).embedDocuments(['one', 'two']);
    expect(vectors.map((vector) => vector.length > 10)).toEqual([true, true]);
  });
  can('options and keep-alive', async () => {
    meshes.play('07-chat-nostream');
    await chat(meshes.played, { model: 'tinytools', keepAlive: '7m', numCtx: 512 }).invoke(QUESTION);
    expect(meshes.asked).toMatchObject({ keep_alive: '7m', options: { num_ctx: 512 } });
  });
  can('an error of its own kind', async () => {
    await expect(chat(meshes.real, { model: 'nobody' }).invoke(QUESTION)).rejects.toMatchObject({ status_code: 404, message: "model 'nobody' not found" });
  });
}

export function langchainOpenai(table: CompatibilityTable, meshes: Meshes): void {
  const at = (url: string) => ({ apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${url}/v1` } });
  const chat = (url: string, more: object = {}) => new ChatOpenAI({ ...at(url), model: 'guide', temperature: 0, streamUsage: true, ...more });
  const played = () => chat(meshes.played, { model: 'tinytools' });
  const client = table.client(['@langchain/openai']);
  const { can } = client;
  shared(client, () => chat(meshes.real), played, meshes);

  can('structured output', async () => {
    const answer = await chat(meshes.real, { maxTokens: 40 }).withStructuredOutput({ title: 'answer', ...SCHEMA }, { method: 'jsonSchema' }).invoke(QUESTION);
    expect(['yes', 'no']).toContain((answer as { answer: string }).answer);
  });
  can('embeddings', async () => {
    const vectors = await new OpenAIEmbeddings({ ...at(meshes.real), model: 'tinyembed' }).embedDocuments(['one', 'two']);
    expect(vectors.map((vector) => vector.length > 10)).toEqual([true, true]);
  });
  can('complete a prompt', async () => {
    expect(await new OpenAI({ ...at(meshes.real), model: 'guide', temperature: 0 }).invoke(QUESTION)).toMatch(ANSWER);
  });
  can('options and keep-alive', async () => {
    meshes.play('07-chat-nostream');
    await chat(meshes.played, { model: 'tinytools', modelKwargs: { keep_alive: '7m', options: { num_ctx: 512 } } }).invoke(QUESTION);
    expect(meshes.asked).toMatchObject({ keep_alive: '7m', options: { num_ctx: 512 } });
  });
  can('scores of tokens', async () => {
    const { response_metadata: about } = await chat(meshes.real, { logprobs: true, topLogprobs: 2, maxTokens: 3 }).invoke(QUESTION);
    expect((about['logprobs'] as { content: unknown[] }).content).toHaveLength(3);
  });
  can('the responses API', async () => {
    expect((await chat(meshes.real, { useResponsesApi: true }).invoke(QUESTION)).text).toMatch(ANSWER);
  });
  can('an error of its own kind', async () => {
    await expect(chat(meshes.real, { model: 'nobody' }).invoke(QUESTION)).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });
  client.not('thoughts', 'Its chat model has no place for the reasoning of models that are not OpenAI’s.');
}

/** What both are asked alike. */
function shared({ can }: ReturnType<CompatibilityTable['client']>, real: () => ChatOllama | ChatOpenAI, played: () => ChatOllama | ChatOpenAI, meshes: Meshes): void {
  can('chat', async () => {
    expect((await real().invoke(QUESTION)).text).toMatch(ANSWER);
  });
  can('chat, streamed', async () => {
    const read = async (model: ChatOllama | ChatOpenAI, got: (piece: string) => void = () => undefined) => {
      let text = '';
      for await (const chunk of await model.stream(QUESTION)) {
        text += chunk.text;
        got(chunk.text);
      }
      return text;
    };
    expect(await read(real())).toMatch(ANSWER);
    await meshes.inPieces((got) => read(played(), got));
  });
  can('count tokens', async () => {
    expect((await real().invoke(QUESTION)).usage_metadata).toMatchObject({ input_tokens: expect.any(Number), output_tokens: expect.any(Number) });
  });
  can('call tools', async () => {
    meshes.play('07-chat-tool-call-stream');
    const { tool_calls: calls } = await played().bindTools([TOOL]).invoke(QUESTION);
    expect(calls).toMatchObject([{ name: 'get_weather', args: OSLO }]);
  });
  can('pictures', async () => {
    meshes.play('07-chat-nostream');
    const content = [{ type: 'text', text: 'what' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}` } }];
    await played().invoke([new HumanMessage({ content })]);
    expect(JSON.stringify(meshes.asked)).toContain(`"images":["${PIXEL}"]`);
  });
  can('leave, and free the engine', async () => {
    meshes.ramble();
    const before = meshes.engine.seen('/api/chat').length;
    const abort = new AbortController();
    const reading = (async () => {
      for await (const _chunk of await played().stream(QUESTION, { signal: abort.signal })) abort.abort();
    })().catch(() => undefined); // One of them throws, the other ends.
    await (await meshes.engine.arrival('/api/chat', before + 1)).dropped;
    await reading;
  });
}
