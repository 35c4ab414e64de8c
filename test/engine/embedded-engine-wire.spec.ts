/** The embedded engine beside a real Ollama: the recorded requests are sent again, and the answers must agree. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, type EngineChild } from './engine-child.js';
import { ask, ndjson, type Answer } from './http-client.js';
import { recorded, shape, type Recorded } from './recorded.js';

let engine: EngineChild;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(async () => {
  await engine.dispose();
});

/** Sends a recording's request with the bundled model in the place of the recorded ones. */
async function replay(was: Recorded): Promise<Answer> {
  const { 'content-length': _length, ...headers } = was.headers;
  if (headers['origin'] === 'http://127.0.0.1:11434') headers['origin'] = engine.url;
  return ask(engine.url, { method: was.method, path: was.path, headers, body: was.body === undefined ? undefined : toGuide(was.body) });
}

/** A name after a blank is the bare word of a malformed body, which stays as it was. */
function toGuide(text: string): string {
  return text.replaceAll('127.0.0.1:5555/library/big', 'guide').replaceAll(/(?<! )\btiny\b/g, 'guide').replaceAll('TINY', 'GUIDE');
}

function sameHead(answer: Answer, was: Recorded): void {
  expect(answer.status).toBe(was.status);
  for (const name of ['content-type', 'allow', 'location', 'access-control-allow-origin', 'access-control-allow-headers', 'access-control-allow-methods', 'access-control-max-age', 'vary']) {
    // The recorder kept the last of several Vary headers; node joins them.
    if (name === 'vary' && was.status === 204) expect(answer.headers.vary).toContain('Origin');
    else if (!(name === 'content-type' && was.answerHeaders['content-length'] === '0')) expect([name, answer.headers[name]]).toEqual([name, was.answerHeaders[name]]);
  }
}

describe('wire: answers that must be the same to the letter', () => {
  it.each([
    '00-root-get', '00-root-head', '04-show-bad-name', '04-show-missing-body', '04-show-missing-model', '04-show-unknown', '05-load-unknown',
    '05-unload-unknown', '06-generate-suffix', '07-chat-num-predict-wrong-type', '10-pull-bad-name', '10-pull-cached-nostream', '10-pull-empty-model',
    '10-pull-malformed-json', '10-pull-missing-body', '10-pull-no-model', '13-delete-bad-name',
    '13-delete-empty', '13-delete-malformed', '13-delete-missing-body', '13-delete-wrong-method', '30-err-chat-bad-format', '30-err-chat-bad-name',
    '30-err-chat-empty-object', '30-err-chat-image-nonvision', '30-err-chat-image-nonvision-nostream', '30-err-chat-image-not-base64',
    '30-err-chat-malformed-json', '30-err-chat-malformed-json2', '30-err-chat-missing-body', '30-err-chat-think-nonthinking', '30-err-chat-tools-nontool',
    '30-err-chat-unknown-model', '30-err-chat-unknown-model-nostream', '30-err-chat-wrong-method', '30-err-chat-wrong-type', '30-err-generate-image-nonvision',
    '30-err-generate-missing-body', '30-err-generate-missing-model', '30-err-generate-unknown-model', '30-err-tags-wrong-method', '30-err-trailing-slash',
    '30-err-unknown-path', '50-cors-options-no-origin', '50-cors-preflight-app', '50-cors-preflight-custom-header', '50-cors-preflight-delete',
    '50-cors-preflight-foreign', '50-cors-preflight-localhost-3000', '50-cors-preflight-null-origin', '50-cors-preflight-unknown-path', '51-cors-get-foreign',
    '51-cors-post-foreign', '51-host-foreign',
  ])('%s', async (name) => {
    const was = recorded(name);
    const answer = await replay(was);
    sameHead(answer, was);
    expect(answer.text.trim()).toBe(toGuide(was.lines.join('\n')));
  });
});

describe('wire: answers of the same shape', () => {
  it.each([
    '01-version', '02-tags-with-models', '05-load-again-warm', '05-load-chat-empty-messages', '05-load-chat-no-messages', '05-load-keepalive-10m', '05-load-keepalive-minus1',
    '05-load-tag-forms', '05-load-upper', '03-ps-one-loaded', '06-generate-nostream', '06-generate-options', '06-generate-raw', '07-chat-nostream',
    '07-chat-stop-string', '07-chat-unknown-option', '30-chat-no-content-type', '30-chat-text-plain', '30-err-chat-bad-role', '30-err-chat-no-content',
    '30-err-chat-think-false', '51-cors-get-localhost', '51-cors-same-origin', '51-host-dotlocal', '51-host-localhost', '05-unload-generate', '05-unload-chat',
    '03-ps-empty',
  ])('%s', async (name) => {
    const was = recorded(name);
    const answer = await replay(was);
    sameHead(answer, was);
    const body = JSON.parse(answer.text) as unknown;
    expect(shape(body)).toEqual(shape(JSON.parse(was.lines.join('')) as unknown));
    expect(Object.keys(body as object)).toEqual(Object.keys(JSON.parse(was.lines.join('')) as object));
  });

  it.each(['06-generate-stream', '07-chat-stream-warm', '51-cors-stream-allowed', '10-pull-cached'])('%s: stream', async (name) => {
    const was = recorded(name);
    const answer = await replay(was);
    sameHead(answer, was);
    const [mine, theirs] = [ndjson(answer.text), was.lines.map((line) => JSON.parse(line) as Record<string, unknown>)];
    expect(shape(mine[0])).toEqual(shape(theirs[0]));
    expect(shape(mine[1])).toEqual(shape(theirs[1]));
    expect(shape(mine.at(-1))).toEqual(shape(theirs.at(-1)));
    expect(mine.slice(0, -1).some((line) => line['done'] === true)).toBe(false);
  });

  it('04-show-tiny: same fields; model_info has what every llama has', async () => {
    const was = recorded('04-show-tiny');
    const answer = await replay(was);
    sameHead(answer, was);
    const mine = JSON.parse(answer.text) as Record<string, unknown>;
    const theirs = JSON.parse(was.lines.join('')) as Record<string, unknown>;
    const { license, ...rest } = mine;
    expect(typeof license).toBe('string');
    expect(Object.keys(rest)).toEqual(Object.keys(theirs));
    for (const key of ['details', 'tensors', 'capabilities', 'parameters', 'template', 'modelfile', 'modified_at']) expect([key, shape(mine[key])]).toEqual([key, shape(theirs[key])]);
    const info = mine['model_info'] as Record<string, unknown>;
    for (const [key, value] of Object.entries(theirs['model_info'] as Record<string, unknown>)) {
      if (key.includes('vocab_size') || key.includes('size_label')) continue;
      expect([key, shape(info[key])]).toEqual([key, shape(value)]);
    }
    expect(mine['parameters']).toContain('stop                           "<|im_start|>"');
  });

  it('the rest of the API: 501 that says so', async () => {
    for (const [method, path] of [['POST', '/api/embed'], ['POST', '/api/embeddings'], ['POST', '/api/copy'], ['POST', '/api/create'], ['POST', '/api/push'], ['POST', '/api/blobs/sha256:00'], ['GET', '/v1/models'], ['POST', '/v1/chat/completions']] as const) {
      const answer = await ask(engine.url, { method, path, body: method === 'POST' ? '{}' : undefined });
      expect([path, answer.status]).toEqual([path, 501]);
      expect(JSON.parse(answer.text)).toEqual({ error: expect.stringMatching(/^the built-in engine does not have .* yet$/) });
    }
    const structured = await ask(engine.url, { path: '/api/chat', body: '{"model":"guide","messages":[{"role":"user","content":"x"}],"format":"json"}' });
    expect(structured.status).toBe(501);
  });
});
