/** Metrics and health of an app that has no HTTP of its own, when it runs as a process: /metrics, /health and /ready, for this machine unless said. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bus } from '#bus';
import { MeshError } from '#contracts';
import type { AppMetrics } from './app-metrics.js';

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

/** @throws MeshError `unavailable` when the address can't be had */
export async function serveMetrics(metrics: AppMetrics, bus: Pick<Bus, 'app' | 'node' | 'connected'>, { host, port }: { host: string; port: number }): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const answer = (status: number, type: string, body: string) => response.writeHead(status, { 'content-type': type, 'x-ollamesh': bus.app }).end(request.method === 'HEAD' ? undefined : body);
    const json = (status: number, body: object) => answer(status, 'application/json', JSON.stringify(body));
    const { app, node } = bus;
    const state = bus.connected ? 'connected' : 'reconnecting';
    switch (request.method === 'GET' || request.method === 'HEAD' ? request.url?.split('?')[0] : undefined) {
      case '/metrics':
        metrics.text().then(
          (text) => answer(200, metrics.contentType, text),
          (thrown: unknown) => json(500, { error: MeshError.from(thrown).toJSON() }),
        );
        break;
      case '/health':
        json(200, { status: 'ok', app, node, bus: state });
        break;
      case '/ready':
        json(bus.connected ? 200 : 503, { ready: bus.connected, app, node, reasons: bus.connected ? [] : ['The bus is not connected.'], parts: { bus: { state } } });
        break;
      default:
        json(404, { error: new MeshError('not_found', 'There is /metrics, /health and /ready.').toJSON() });
    }
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new MeshError('unavailable', `Metrics can't be served at ${host}:${port}: ${cause.message}. Set metrics.port to another one.`, { cause })));
    server.listen({ host, port }, resolve);
  });
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
