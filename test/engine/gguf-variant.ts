/** A GGUF file with other metadata: models that differ in template or pooling, made of one file's weights. Layout: GGUF version 3. */

/** Bytes of a value by its type number; texts and lists are not here. */
const FIXED: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const ALIGNMENT = 32;
const TYPE = { u32: 4, string: 8, list: 9 } as const;

/** @param values texts, and whole numbers below 2^32; they replace those of the same key */
export function ggufVariant(file: Buffer, values: Readonly<Record<string, string | number>>): Buffer {
  const tensors = Number(file.readBigUInt64LE(8));
  const count = Number(file.readBigUInt64LE(16));
  let at = 24;
  const kept: Buffer[] = [];
  for (let index = 0; index < count; index += 1) {
    const start = at;
    const length = Number(file.readBigUInt64LE(at));
    const key = file.toString('utf8', at + 8, at + 8 + length);
    at = skip(file, at + 8 + length + 4, file.readUInt32LE(at + 8 + length));
    if (!(key in values)) kept.push(file.subarray(start, at));
  }
  const infos = at;
  for (let index = 0; index < tensors; index += 1) {
    at += 8 + Number(file.readBigUInt64LE(at));
    at += 4 + file.readUInt32LE(at) * 8 + 4 + 8;
  }
  const added = Object.entries(values).map(([key, value]) => Buffer.concat([text(key), typeof value === 'string' ? Buffer.concat([u32(TYPE.string), text(value)]) : Buffer.concat([u32(TYPE.u32), u32(value)])]));
  const head = Buffer.from(file.subarray(0, 24));
  head.writeBigUInt64LE(BigInt(kept.length + added.length), 16);
  const front = Buffer.concat([head, ...kept, ...added, file.subarray(infos, at)]);
  return Buffer.concat([front, Buffer.alloc(aligned(front.length) - front.length), file.subarray(aligned(at))]);
}

function skip(file: Buffer, at: number, type: number): number {
  if (type === TYPE.string) return at + 8 + Number(file.readBigUInt64LE(at));
  if (type !== TYPE.list) return at + (FIXED[type] ?? Number.NaN);
  const inner = file.readUInt32LE(at);
  const length = Number(file.readBigUInt64LE(at + 4));
  let end = at + 12;
  for (let index = 0; index < length; index += 1) end = skip(file, end, inner);
  return end;
}

function aligned(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}
