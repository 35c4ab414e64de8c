/** A pull as Ollama's clients see it: started or joined, its progress line by line, and it goes on when they leave. */
import type { Response } from 'express';
import { Bus } from '#bus';
import { MeshError, ModelName, ModelsPull, ModelsPullStatus, type PullProgress, parseOrThrow } from '#contracts';
import { MeshView } from '../../mesh-view.js';
import { tellModel } from '../route-headers.js';
import { ollamaErrorLine } from './errors.js';

/** How often the pull is asked for, should its events be lost, in milliseconds. */
const LOOK_MS = 5_000;

export interface PullParts {
  readonly bus: Bus;
  readonly mesh: MeshView;
}

/** Settles when the pull has ended, or the client has left. @throws MeshError of the pull, before the first byte */
export async function answerPull({ bus, mesh }: PullParts, asked: string, stream: boolean, response: Response): Promise<void> {
  const model = parseOrThrow(ModelName, asked);
  const node = mesh.nodeFor(model);
  const lines = new PullLines(response, stream);
  const stop = mesh.listen(({ event, data }) => {
    if (event === 'pull' && data.node === node && data.model === model) lines.take(data);
  });
  const look = setInterval(() => void bus.call(ModelsPullStatus, { model }, { node }).then((progress) => lines.take(progress), () => undefined), LOOK_MS);
  response.once('close', () => lines.leave());
  try {
    tellModel(response, { model, node });
    lines.take(await bus.call(ModelsPull, { model }, { node }));
    await lines.ended;
  } finally {
    stop();
    clearInterval(look);
  }
}

class PullLines {
  readonly ended: Promise<void>;
  #settle!: { resolve: () => void; reject: (error: MeshError) => void };
  #last = '';
  #over = false;

  constructor(
    private readonly response: Response,
    private readonly stream: boolean,
  ) {
    this.ended = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.ended.catch(() => undefined); // Whoever awaits it may not have come that far.
  }

  take(progress: PullProgress): void {
    if (this.#over) return;
    if (progress.status === 'failed') this.#fail(progress.error ? MeshError.fromBody(progress.error) : new MeshError('pull_failed', 'The pull failed.'));
    else if (progress.status === 'success') this.#succeed();
    else if (this.stream) this.#say(lineOf(progress));
  }

  leave(): void {
    this.#over = true;
    this.#settle.resolve();
  }

  #say(line: object): void {
    const text = `${JSON.stringify(line)}\n`;
    if (text === this.#last) return;
    this.#last = text;
    if (!this.response.headersSent) this.response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    this.response.write(text);
  }

  #succeed(): void {
    this.#over = true;
    if (this.stream) {
      this.#say({ status: 'success' });
      this.response.end();
    } else {
      this.response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"success"}');
    }
    this.#settle.resolve();
  }

  /** In a stream it is a line of a good answer, also as the first. */
  #fail(error: MeshError): void {
    this.#over = true;
    if (!this.stream) {
      this.#settle.reject(error);
      return;
    }
    if (!this.response.headersSent) this.response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    this.response.end(ollamaErrorLine(error));
    this.#settle.resolve();
  }
}

function lineOf({ step, layer }: PullProgress): object {
  if (!layer) return { status: step };
  const { digest, totalBytes, completedBytes } = layer;
  return { status: step, digest, total: totalBytes, ...(completedBytes > 0 && { completed: completedBytes }) };
}
