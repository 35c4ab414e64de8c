/** How bodies are read: JSON at our own doors, as bytes where a door has its own words for broken JSON, not at all where they stream through. */
import type { IncomingMessage } from 'node:http';
import type { NestExpressApplication } from '@nestjs/platform-express';

const STREAMED = /^\/api\/(create|push|blobs\/[^/]*)\/?$/i;
const OWN_WORDS = /^\/(api|v1)\//i;

/** @param limit largest body, in bytes */
export function readBodies(app: NestExpressApplication, limit: number): void {
  app.useBodyParser('raw', { limit, type: (request) => OWN_WORDS.test(pathOf(request)) && !STREAMED.test(pathOf(request)) });
  // Clients send JSON under any content type, `curl -d` above all.
  app.useBodyParser('json', { limit, type: (request) => !STREAMED.test(pathOf(request)) });
}

/** The text of a body that was read as bytes; empty where none came. */
export function bodyText(body: unknown): string {
  return Buffer.isBuffer(body) ? body.toString('utf8') : '';
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? '';
}
