/** What an image weighs, from a registry on loopback that answers like the public ones. */
import { type Server, createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { imageSize, placeOf } from './image-size.js';

const LAYERS = { layers: [{ size: 1_000 }, { size: 234 }] };
const INDEX = {
  manifests: [
    { digest: 'sha256:arm', platform: { os: 'linux', architecture: 'arm64' } },
    { digest: 'sha256:intel', platform: { os: 'linux', architecture: 'amd64' } },
  ],
};

let server: Server;
let host: string;
let answers: Record<string, unknown>;
let asked: string[];
beforeEach(async () => {
  answers = {};
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const answer = answers[request.url ?? ''];
    if (answer === undefined) response.statusCode = 404;
    if (answer !== 'silence') response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as { port: number }).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('image size', () => {
  it.each([
    ['ollama/ollama:latest', 'https://registry-1.docker.io/v2', 'ollama/ollama', 'latest'],
    ['debian', 'https://registry-1.docker.io/v2', 'library/debian', 'latest'],
    ['ghcr.io/team/engine:v1', 'https://ghcr.io/v2', 'team/engine', 'v1'],
    ['localhost:5000/engine', 'http://localhost:5000/v2', 'engine', 'latest'],
    ['ollama/ollama:0.9@sha256:00ff', 'https://registry-1.docker.io/v2', 'ollama/ollama', 'sha256:00ff'],
  ])('place: %s', (image, base, repository, reference) => {
    expect(placeOf(image)).toEqual({ base, repository, reference });
  });

  it('size: the sum of its layers', async () => {
    answers = { '/v2/a/b/manifests/1': LAYERS };
    expect(await imageSize(`${host}/a/b:1`, 'x64', AbortSignal.timeout(5_000))).toBe(1_234);
  });

  it('size: of an image for several machines, that of this one', async () => {
    answers = { '/v2/a/b/manifests/latest': INDEX, '/v2/a/b/manifests/sha256:intel': LAYERS };
    expect(await imageSize(`${host}/a/b`, 'x64', AbortSignal.timeout(5_000))).toBe(1_234);
    expect(await imageSize(`${host}/a/b`, 'riscv64', AbortSignal.timeout(5_000))).toBeUndefined();
  });

  it.each([
    ['nothing of that name', {}],
    ['no JSON', { '/v2/a/b/manifests/1': '<html>' }],
    ['something else', { '/v2/a/b/manifests/1': { layers: 'many' } }],
    ['silence', { '/v2/a/b/manifests/1': 'silence' }],
  ])('size: not known where the registry has %s', async (_what, said) => {
    answers = said;
    expect(await imageSize(`${host}/a/b:1`, 'x64', AbortSignal.timeout(500))).toBeUndefined();
    expect(asked).toEqual(['/v2/a/b/manifests/1']);
  });
});
