/** Clients that nobody here wrote, against the gateway: each as its users use it. What they can do is the table of docs/compatibility.md. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { aiSdk, useChat } from './clients/ai-sdk.js';
import { langchainOllama, langchainOpenai } from './clients/langchain.js';
import { ollamaJs } from './clients/ollama-js.js';
import { openaiNode } from './clients/openai-node.js';
import { curl, eventSource, socketIo } from './clients/plain.js';
import { Meshes } from './meshes.js';
import { CompatibilityTable } from './table.js';

const table = new CompatibilityTable([
  'list models', 'describe a model', 'chat', 'chat, streamed', 'complete a prompt', 'the responses API', 'count tokens', 'call tools', 'structured output',
  'thoughts', 'pictures', 'scores of tokens', 'embeddings', 'options and keep-alive', 'an error of its own kind', 'leave, and free the engine',
  'come back to a running answer', 'stop a running answer', 'watch a stream of any door', 'pull, copy and remove models', 'make models',
]);
const meshes = new Meshes();

beforeAll(() => meshes.start(), 90_000);
afterAll(() => meshes.stop());

describe('clients', () => {
  for (const client of [ollamaJs, openaiNode, aiSdk, useChat, langchainOllama, langchainOpenai, eventSource, socketIo, curl]) client(table, meshes);

  it('docs/compatibility.md says what was found', () => {
    if (process.env['OLLAMESH_WRITE_COMPATIBILITY'] === '1') table.write();
    expect(CompatibilityTable.committed()).toBe(table.markdown);
  });
});
