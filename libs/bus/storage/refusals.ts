/** What every bucket says when it does not take something. */
import { MeshError } from '#contracts';

export function bucketFull(bucket: string, maxEntries: number): MeshError {
  return new MeshError('limit_reached', `There are ${maxEntries} ${bucket} already, as many as there may be.`, { details: { bucket, max: maxEntries } });
}

export function valueTooLarge(bytes: number, maxBytes: number): MeshError {
  return new MeshError('payload_too_large', `The entry has ${bytes} bytes; the bus takes at most ${maxBytes}.`, { details: { bytes, maxBytes } });
}
