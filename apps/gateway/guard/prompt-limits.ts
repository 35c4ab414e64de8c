/** How large what a model is asked may be, whatever the door. Pure. */
import { MeshError } from '#contracts';
import type { Config } from '#config';

/** What of a request counts. */
export interface Sized {
  readonly messages?: readonly { readonly content: string; readonly thinking?: string | undefined; readonly images?: readonly string[] | undefined }[] | undefined;
  readonly prompt?: string | undefined;
  readonly system?: string | undefined;
}

type Limits = Pick<Config['gateway']['limits'], 'promptBytes' | 'images' | 'imageBytes'>;

/** @throws MeshError `payload_too_large` that names the limit, and the image that exceeds it */
export function refuseOversized({ messages = [], prompt = '', system = '' }: Sized, limits: Limits): void {
  let bytes = Buffer.byteLength(prompt) + Buffer.byteLength(system);
  let images = 0;
  for (const [index, message] of messages.entries()) {
    bytes += Buffer.byteLength(message.content) + Buffer.byteLength(message.thinking ?? '');
    for (const [number, image] of (message.images ?? []).entries()) {
      images++;
      const size = decodedBytes(image);
      if (size > limits.imageBytes) throw tooLarge(`messages.${index}.images.${number}`, `The image has ${size} bytes`, limits.imageBytes, 'imageBytes');
    }
  }
  if (images > limits.images) throw tooLarge('messages', `The messages have ${images} images`, limits.images, 'images');
  if (bytes > limits.promptBytes) throw tooLarge(messages.length > 0 ? 'messages' : 'prompt', `The text of this request has ${bytes} bytes`, limits.promptBytes, 'promptBytes');
}

/** Of base64, which takes four characters for three bytes. */
function decodedBytes(base64: string): number {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  return (base64.length / 4) * 3 - padding;
}

function tooLarge(field: string, has: string, max: number, setting: keyof Limits): MeshError {
  return new MeshError('payload_too_large', `${has}; a request may have ${max} (gateway.limits.${setting}).`, { details: { field, max } });
}
