/** Server-Sent Events over fetch, which can send a key, as EventSource can't. Comes back by itself after every end. */
import type { ErrorBody } from '#contracts';
import { askForKey, keyHeaders } from './key.js';

const RETRY_MS = 1_000;
const RETRY_WITHOUT_KEY_MS = 10_000;

/**
 * @param take told of each event
 * @param opened told of each connection
 */
export async function followEvents(path: string, take: (event: string, data: unknown) => void, opened: () => void): Promise<never> {
  for (;;) {
    let pause = RETRY_MS;
    try {
      const response = await fetch(path, { headers: { accept: 'text/event-stream', ...keyHeaders() } });
      if (response.ok && response.body) {
        opened();
        await readEvents(response.body, take);
      } else if (response.status === 401) {
        askForKey(((await response.json()) as { error?: ErrorBody }).error?.message);
        pause = RETRY_WITHOUT_KEY_MS;
      }
    } catch {
      // Cut, or nobody there: the next try says.
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function readEvents(body: ReadableStream<Uint8Array>, take: (event: string, data: unknown) => void): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) => block.split('\n').find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const [event, data] = [field('event'), field('data')];
      if (event !== undefined && data !== undefined) take(event, JSON.parse(data));
    }
  }
}
