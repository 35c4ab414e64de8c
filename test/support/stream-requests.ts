/** Creates streams at a gateway and reads them back whole, as the witness that viewers are compared with. */
import { expect } from '@jest/globals';
import { ask } from './http-client.js';
import { textOf } from './stream-text.js';

export interface Created {
  readonly id: string;
  readonly ownerToken: string;
  readonly model: string;
}

/** A stream that is generated, though somebody asked the same before. @throws when it is refused */
export async function createStream(url: string, request: object): Promise<Created> {
  const answer = await ask(`${url}/streams`, { headers: { 'x-ollamesh-cache': 'off' }, body: request });
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 201 });
  return answer.json<Created>();
}

export interface View {
  readonly position: string;
  readonly text: string;
  readonly done?: { finishReason: string };
  readonly error?: { code: string; retryable: boolean };
}

/** The stream as JSON. */
export async function viewOf(url: string, id: string): Promise<View> {
  const answer = await ask(`${url}/streams/${id}`, { headers: { accept: 'application/json' } });
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
  const view = answer.json<Record<string, unknown>>();
  return { ...(view as unknown as View), text: textOf([{ event: 'snapshot', data: view }]) };
}
