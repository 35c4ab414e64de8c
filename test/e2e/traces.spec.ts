/** Traces of a request through every app, as a collector gets them that OpenTelemetry's own variables name; and ids of requests, in answers and logs. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { until } from '../support/until.js';

interface OtlpSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly status: { readonly code?: number };
  readonly attributes: Record<string, unknown>;
}

/** What an exporter sends, as OTLP over HTTP has it in JSON. */
interface OtlpBody {
  resourceSpans: { resource: { attributes: OtlpAttribute[] }; scopeSpans: { spans: (Omit<OtlpSpan, 'attributes' | 'service'> & { attributes: OtlpAttribute[] })[] }[] }[];
}
interface OtlpAttribute {
  readonly key: string;
  readonly value: Record<string, unknown>;
}

const named = (attributes: readonly OtlpAttribute[]) => Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

describe('traces and request ids', () => {
  let collector: Server;
  let mesh: MeshProcess;
  const spans: OtlpSpan[] = [];
  beforeAll(async () => {
    collector = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      request.on('end', () => {
        for (const { resource, scopeSpans } of (JSON.parse(text) as OtlpBody).resourceSpans) {
          const service = String(named(resource.attributes)['service.name']);
          for (const span of scopeSpans.flatMap((scope) => scope.spans)) spans.push({ ...span, service, attributes: named(span.attributes) });
        }
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
    mesh = await startMesh({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '100', OLLAMESH_LOG_LEVEL: 'info' } });
  }, 60_000);
  afterAll(async () => {
    await mesh.stop();
    collector.closeAllConnections();
    collector.close();
  });

  it('a generation: one trace from the client\'s own span through gateway, bus and model-manager to the last token', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const events = await readSse(`${mesh.url}/streams`, { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` }, body: { prompt: 'What is NATS?' } });
    const ours = () => spans.filter((span) => span.traceId === traceId);
    const find = (name: string) => ours().find((span) => span.name === name);
    const all = ['POST /streams', 'generation', 'call inference.start', 'serve inference.start'];
    await until('every span is there', () => all.every((name) => find(name)));
    const [http, generation, call, serve] = all.map((name) => find(name) as OtlpSpan);
    expect([http?.parentSpanId, generation?.parentSpanId, call?.parentSpanId, serve?.parentSpanId]).toEqual(['b7ad6b7169203331', http?.spanId, generation?.spanId, call?.spanId]);
    expect([http?.service, call?.service, serve?.service]).toEqual(['ollamesh-gateway', 'ollamesh-gateway', 'ollamesh-model-manager']);
    expect(http?.attributes).toMatchObject({ 'http.request.method': 'POST', 'http.route': '/streams', 'http.response.status_code': 200 });
    const done = events.find(({ event }) => event === 'done');
    const counters = done?.data['counters'] as Record<string, number>;
    expect(Number(generation?.attributes['gen_ai.usage.output_tokens'])).toBe(counters['eval_count']);
    expect(Number(generation?.attributes['ollamesh.first_token_ms'])).toBeGreaterThan(0);
  });

  it('a failure: is an error in its span, and the client is told under which id it is logged', async () => {
    const traceId = '1af7651916cd43dd8448eb211c80319d';
    const { status } = await ask(`${mesh.url}/streams`, { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` }, body: { model: 'nobody/has-this', prompt: 'x' } });
    expect(status).toBe(404);
    const generation = await until('its span is there', () => spans.find((span) => span.traceId === traceId && span.name === 'generation'));
    expect(generation.status.code).toBe(2);
  });

  it('not sampled by whoever began the trace: not recorded here either', async () => {
    const traceId = '2af7651916cd43dd8448eb211c80319e';
    await ask(`${mesh.url}/models/show?model=guide`, { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-00` } });
    await ask(`${mesh.url}/models/show?model=guide`, { headers: { traceparent: '00-3af7651916cd43dd8448eb211c80319f-b7ad6b7169203331-01' } });
    await until('the other one is there', () => spans.some((span) => span.traceId === '3af7651916cd43dd8448eb211c80319f' && span.name === 'serve models.show'));
    expect(spans.some((span) => span.traceId === traceId)).toBe(false);
  });

  it.each([
    ['a client\'s own', 'order-42.a:b', 'order-42.a:b'],
    ['none', undefined, undefined],
    ['one that would write lines of its own', 'a b', undefined],
    ['one that is too long', 'x'.repeat(200), undefined],
  ])('request id: %s', async (_, given, expected) => {
    const { headers } = await ask(`${mesh.url}/nosuch`, { headers: given === undefined ? {} : { 'x-request-id': given } });
    const id = String(headers['x-request-id']);
    if (expected !== undefined) expect(id).toBe(expected);
    else expect(id).toMatch(/^req_[0-9a-f]{24}$/);
    const line = await until('it is logged', () => mesh.program.stderr.split('\n').find((text) => text.includes(`"requestId":"${id}"`)));
    expect(JSON.parse(line)).toMatchObject({ app: 'gateway', method: 'GET', path: '/nosuch', status: 404, caller: 'local' });
  });

  it('the log: names no stream, which would be a right to watch it', async () => {
    const { id } = (await ask(`${mesh.url}/streams`, { body: { prompt: 'What is NATS?' } })).json<{ id: string }>();
    await readSse(`${mesh.url}/streams/${id}`);
    await until('it is logged', () => mesh.program.stderr.includes('"path":"/streams/:id"'));
    expect(mesh.program.stderr).not.toContain(id);
  });
});
