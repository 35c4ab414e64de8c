/** What each door answers to what makes no sense: in its own shape, with the field and the reason, and the next request is answered as ever. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Answered, ask } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';

let mesh: MeshProcess;
beforeAll(async () => {
  mesh = await startMesh();
}, 60_000);
afterAll(() => mesh.stop());

const CHAT = { model: 'guide', messages: [{ role: 'user', content: 'Hi' }], options: { num_predict: 1 } };
const V1 = { model: 'guide', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 };
const UI = { id: 'c', model: 'guide', messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'Hi' }] }] };
const part = (more: object) => ({ ...V1, messages: [{ role: 'user', content: [more] }] });
const uiPart = (more: object) => ({ ...UI, messages: [{ role: 'user', parts: [more] }] });

type Case = readonly [what: string, path: string, body: object | string, status: number, says: RegExp, param?: string | null];

const OLLAMA: readonly Case[] = [
  ['no JSON', '/api/chat', '{"model":', 400, /unexpected EOF/],
  ['nothing', '/api/generate', '', 400, /missing request body/],
  ['a list', '/api/chat', '[1]', 400, /cannot unmarshal array/],
  ['messages of the wrong type', '/api/chat', { ...CHAT, messages: 'Hi' }, 400, /ChatRequest\.messages/],
  ['a message of the wrong type', '/api/chat', { ...CHAT, messages: [1] }, 400, /cannot unmarshal number/],
  ['stream of the wrong type', '/api/chat', { ...CHAT, stream: 'yes' }, 400, /ChatRequest\.stream of type bool/],
  ['an option of the wrong type', '/api/chat', { ...CHAT, options: { num_predict: 'ten' } }, 500, /option "num_predict" must be of type integer/],
  ['no model', '/api/chat', { ...CHAT, model: undefined }, 400, /model is required/],
  ['a name that is none', '/api/chat', { ...CHAT, model: '../etc' }, 400, /invalid model name/],
  ['an unknown model', '/api/chat', { ...CHAT, model: 'nobody' }, 404, /model 'nobody' not found/],
  ['an unknown model to embed with', '/api/embed', { model: 'nobody', input: 'x' }, 404, /try pulling it first/],
  ['a thought that is none', '/api/chat', { ...CHAT, think: 'banana' }, 400, /invalid think value/],
  ['a format that is none', '/api/chat', { ...CHAT, format: 7 }, 500, /invalid format/],
  ['a keep-alive that is none', '/api/chat', { ...CHAT, keep_alive: 'soon' }, 400, /invalid duration/],
  ['a picture that is none', '/api/chat', { ...CHAT, messages: [{ role: 'user', content: 'x', images: ['not base64!'] }] }, 400, /illegal base64 data at input byte 3/],
  ['a picture for a model without eyes', '/api/generate', { model: 'guide', prompt: 'x', images: ['aGk='] }, 400, /Multimodal data provided/],
  ['tools for a model without hands', '/api/chat', { ...CHAT, tools: [{ type: 'function', function: { name: 'f' } }] }, 400, /does not support tools/],
  ['too many alternatives', '/api/chat', { ...CHAT, logprobs: true, top_logprobs: 99 }, 400, /between 0 and 20/],
  ['input of the wrong type', '/api/embed', { model: 'guide', input: { a: 1 } }, 400, /invalid input type/],
  ['a model that makes no vectors', '/api/embed', { model: 'guide', input: 'x' }, 501, /does not support embeddings/],
  ['a pull of nothing', '/api/pull', {}, 400, /invalid model name/],
  ['a copy of nothing', '/api/copy', {}, 400, /source "" is invalid/],
  ['a model made by an engine that makes none', '/api/create', { model: 'x', from: 'guide' }, 501, /does not have building models/],
  ['a blob of no digest', '/api/blobs/sha256:zz', 'x', 400, /is not a digest/],
];

const OPENAI: readonly Case[] = [
  ['no JSON', '/v1/chat/completions', '{"model":', 400, /could not parse the JSON body/, null],
  ['nothing', '/v1/chat/completions', '', 400, /it is empty/, null],
  ['a list', '/v1/chat/completions', '[1]', 400, /expected object/, null],
  ['no model', '/v1/chat/completions', { messages: V1.messages }, 400, /model is required/, 'model'],
  ['messages of the wrong type', '/v1/chat/completions', { ...V1, messages: 'Hi' }, 400, /expected array/, 'messages'],
  ['no messages', '/v1/chat/completions', { ...V1, messages: [] }, 400, /too short/, 'messages'],
  ['a role that is none', '/v1/chat/completions', { ...V1, messages: [{ role: 'wizard', content: 'x' }] }, 400, /role/, 'messages.0.role'],
  ['content of the wrong type', '/v1/chat/completions', { ...V1, messages: [{ role: 'user', content: 7 }] }, 400, /neither a text nor a list/, 'messages.0.content'],
  ['an argument that is none', '/v1/chat/completions', { ...V1, temprature: 1 }, 400, /^Unrecognized request argument supplied: temprature$/, 'temprature'],
  ['a temperature of the wrong type', '/v1/chat/completions', { ...V1, temperature: 'warm' }, 400, /expected number/, 'temperature'],
  ['several answers', '/v1/chat/completions', { ...V1, n: 2 }, 400, /only one answer/, 'n'],
  ['an unknown model', '/v1/chat/completions', { ...V1, model: 'nobody' }, 404, /"nobody:latest" is not here/, 'model'],
  ['a picture from elsewhere', '/v1/chat/completions', part({ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }), 400, /not fetched here/, 'messages.0.content'],
  ['a picture that is none', '/v1/chat/completions', part({ type: 'image_url', image_url: { url: 'data:image/png;base64,?' } }), 400, /Invalid image/, 'messages.0.content'],
  ['a part that is none', '/v1/chat/completions', part({ type: 'input_audio' }), 400, /neither a text nor a list of parts/, 'messages.0.content'],
  ['a tool that is not offered', '/v1/chat/completions', { ...V1, tools: [], tool_choice: { type: 'function', function: { name: 'f' } } }, 400, /not among the tools/, 'tool_choice'],
  ['tools for a model without hands', '/v1/chat/completions', { ...V1, tools: [{ type: 'function', function: { name: 'f' } }] }, 400, /does not support tools/, null],
  ['arguments that are no JSON', '/v1/chat/completions', { ...V1, messages: [...V1.messages, { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '{' } }] }] }, 400, /arguments of a tool call/, null],
  ['thoughts of a model without any', '/v1/chat/completions', { ...V1, reasoning_effort: 'high' }, 400, /does not support thinking/, null],
  ['two prompts', '/v1/completions', { model: 'guide', prompt: ['a', 'b'] }, 400, /one prompt at a time/, 'prompt'],
  ['no input', '/v1/embeddings', { model: 'guide' }, 400, /neither a text nor a list/, 'input'],
  ['an earlier answer', '/v1/responses', { model: 'guide', input: 'x', previous_response_id: 'resp_1' }, 400, /not kept here/, 'previous_response_id'],
  ['a tool that is no function', '/v1/responses', { model: 'guide', input: 'x', tools: [{ type: 'web_search' }] }, 400, /only functions/, 'tools.0.type'],
];

const AI_SDK: readonly Case[] = [
  ['no JSON', '/ai/chat', '{"id":', 400, /Invalid request/],
  ['no messages', '/ai/chat', { ...UI, messages: [] }, 400, /messages/],
  ['messages of the wrong type', '/ai/chat', { ...UI, messages: 'Hi' }, 400, /expected array/],
  ['an unknown model', '/ai/chat', { ...UI, model: 'nobody' }, 404, /"nobody:latest" is not here/],
  ['a part without its text', '/ai/chat', uiPart({ type: 'text' }), 400, /part of type "text"/],
  ['a file that is no picture', '/ai/chat', uiPart({ type: 'file', url: 'data:text/plain;base64,aGk=', mediaType: 'text/plain' }), 400, /images only/],
  ['an option of the wrong type', '/ai/chat', { ...UI, options: { num_predict: 'ten' } }, 400, /options\.num_predict/],
];

const send = (path: string, body: object | string): Promise<Answered> => ask(`${mesh.url}${path}`, { method: 'POST', body });

describe('bad input: the Ollama door', () => {
  it.each(OLLAMA)('%s', async (_what, path, body, status, says) => {
    const answer = await send(path, body);
    expect([answer.status, answer.text]).toEqual([status, answer.text]);
    expect(answer.json()).toEqual({ error: expect.stringMatching(says) });
  });

  it('paths and methods that are none: plain text, as Ollama', async () => {
    expect(await ask(`${mesh.url}/api/nonsense`)).toMatchObject({ status: 404, text: '404 page not found' });
    expect(await ask(`${mesh.url}/api/chat`)).toMatchObject({ status: 405, text: '405 method not allowed', headers: { allow: 'POST' } });
  });
});

describe('bad input: the OpenAI door', () => {
  it.each(OPENAI)('%s', async (_what, path, body, status, says, param) => {
    const answer = await send(path, body);
    expect([answer.status, answer.text]).toEqual([status, answer.text]);
    expect(answer.json()).toEqual({ error: { message: expect.stringMatching(says), type: expect.any(String), param, code: expect.any(String) } });
    expect(answer.headers).toMatchObject({ 'x-request-id': expect.stringMatching(/^req_/), 'x-should-retry': 'false' });
  });

  it('paths, methods and models that are none', async () => {
    expect((await ask(`${mesh.url}/v1/nonsense`)).json()).toMatchObject({ error: { message: 'Invalid URL (GET /v1/nonsense)' } });
    expect(await ask(`${mesh.url}/v1/chat/completions`)).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    expect(await ask(`${mesh.url}/v1/models/nobody`)).toMatchObject({ status: 404, text: expect.stringContaining('model_not_found') });
    expect(await ask(`${mesh.url}/v1/models/%E0%A4%A`)).toMatchObject({ status: expect.any(Number), text: expect.stringContaining('"error"') });
  });
});

describe('bad input: the AI SDK door', () => {
  it.each(AI_SDK)('%s', async (_what, path, body, status, says) => {
    const answer = await send(path, body);
    expect([answer.status, answer.text]).toEqual([status, answer.text]);
    expect(answer.json()).toEqual({ error: expect.objectContaining({ message: expect.stringMatching(says), retryable: false }) });
  });

  it('chats that are nobody’s', async () => {
    expect((await ask(`${mesh.url}/ai/chat/nobody/stream`)).status).toBe(204);
    expect((await ask(`${mesh.url}/ai/chat/nobody/stop`, { method: 'POST' })).status).toBe(404);
  });
});

describe('bad input: every door', () => {
  const doors: readonly (readonly [path: string, body: object])[] = [['/api/chat', CHAT], ['/v1/chat/completions', V1], ['/ai/chat', UI]];

  it.each(doors)('%s: a foreign Origin or Host gets nothing', async (path, body) => {
    const foreign: Record<string, string>[] = [{ origin: 'https://evil.example' }, { origin: 'null' }, { host: 'evil.example' }];
    for (const headers of foreign) {
      expect(await ask(`${mesh.url}${path}`, { body, headers })).toMatchObject({ status: 403, text: '' });
    }
  });

  it.each(doors)('%s: a body beyond the limit, and a picture beyond what the bus takes, are 413 and say how much is taken', async (path, body) => {
    const big = await ask(`${mesh.url}${path}`, { body: { ...body, filler: 'x'.repeat(21 * 1024 * 1024) } });
    expect([big.status, big.text]).toEqual([413, expect.stringContaining('20971520 bytes')]);
    const image = 'A'.repeat(9 * 1024 * 1024);
    const seen = {
      '/api/chat': { ...CHAT, messages: [{ role: 'user', content: 'x', images: [image] }] },
      '/v1/chat/completions': part({ type: 'image_url', image_url: { url: `data:image/png;base64,${image}` } }),
      '/ai/chat': uiPart({ type: 'file', mediaType: 'image/png', url: `data:image/png;base64,${image}` }),
    }[path];
    const answer = await ask(`${mesh.url}${path}`, { body: seen ?? {} });
    expect([answer.status, answer.text.slice(0, 300)]).toEqual([413, expect.stringMatching(/the bus takes at most \d+/)]);
  });

  it('any JSON at all is answered in the door’s shape, and never as a fault of ours', async () => {
    const paths = ['/api/chat', '/api/generate', '/api/embed', '/api/embeddings', '/api/show', '/api/pull', '/api/copy', '/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses', '/ai/chat'];
    const field = fc.constantFrom('model', 'messages', 'prompt', 'input', 'options', 'format', 'tools', 'stream', 'think', 'images', 'id', 'keep_alive', 'name', 'source');
    const body = fc.dictionary(field, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 });
    for (const path of paths) {
      for (const value of fc.sample(body, { numRuns: 40, seed: 7 })) {
        const { model: _model, name: _name, ...unnamed } = value as Record<string, unknown>; // Nothing may really be pulled.
        const answer = await send(path, unnamed);
        expect([path, JSON.stringify(unnamed), answer.status, answer.text]).toEqual([path, JSON.stringify(unnamed), expect.any(Number), expect.not.stringContaining('"internal"')]);
        if (answer.status >= 400) expect(Object.keys(answer.json())).toEqual(['error']);
      }
    }
    expect((await send('/api/chat', { ...CHAT, stream: false })).status).toBe(200);
  }, 60_000);
});
