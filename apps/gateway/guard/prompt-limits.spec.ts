/** How large a request to a model may be. */
import { describe, expect, it } from '@jest/globals';
import { refuseOversized } from './prompt-limits.js';

const LIMITS = { promptBytes: 10, images: 2, imageBytes: 4 };
const user = (content: string, ...images: Buffer[]) => ({ role: 'user' as const, content, images: images.map((image) => image.toString('base64')) });

describe('prompt limits', () => {
  it.each([
    ['a prompt of as many bytes', { prompt: '€€€x' }],
    ['messages of as many', { messages: [user('12345'), user('12345')] }],
    ['two images of as many', { messages: [user('x', Buffer.alloc(4), Buffer.alloc(4))] }],
    ['nothing', {}],
  ])('%s: may be', (_, request) => expect(() => refuseOversized(request, LIMITS)).not.toThrow());

  it.each([
    ['a prompt of more', { prompt: '€€€xx' }, { field: 'prompt', max: 10 }],
    ['a prompt and a system prompt of more', { prompt: '12345', system: '123456' }, { field: 'prompt', max: 10 }],
    ['messages of more', { messages: [user('12345'), user('123456')] }, { field: 'messages', max: 10 }],
    ['an image of more', { messages: [user('x'), user('x', Buffer.alloc(4), Buffer.alloc(5))] }, { field: 'messages.1.images.1', max: 4 }],
    ['one image more', { messages: [user('x', Buffer.alloc(1)), user('x', Buffer.alloc(1), Buffer.alloc(1))] }, { field: 'messages', max: 2 }],
  ])('%s: is refused by name', (_, request, details) => {
    let thrown: unknown;
    try {
      refuseOversized(request, LIMITS);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'payload_too_large', details });
  });
});
