/** Reads the header of a GGUF file (metadata and tensor list) without llama.cpp, so that listing models costs neither its start-up nor its memory. */
import { open } from 'node:fs/promises';

export type GgufValue = number | string | boolean | readonly GgufValue[];

export interface GgufTensor {
  readonly name: string;
  /** Sizes per dimension, fastest first. */
  readonly shape: readonly number[];
  /** GGML type number. */
  readonly type: number;
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
}

/** A file that is not a GGUF file, or one whose header is damaged or absurdly large. */
export class GgufError extends Error {}

/** Headers end well below this (bytes): the largest vocabularies take some 16 MB. */
const MAX_HEADER_BYTES = 128 * 1024 * 1024;
const FIRST_READ_BYTES = 256 * 1024;
const MAX_NESTING = 4;

class NeedMore extends Error {}

/** Reads no more of the file than the header needs, within a factor of four. */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const file = await open(path, 'r');
  try {
    for (let size = FIRST_READ_BYTES; size <= MAX_HEADER_BYTES; size *= 4) {
      const buffer = Buffer.alloc(size);
      const { bytesRead } = await file.read(buffer, 0, size, 0);
      try {
        return parseGgufHeader(buffer.subarray(0, bytesRead));
      } catch (error) {
        if (!(error instanceof NeedMore)) throw error;
        if (bytesRead < size) throw new GgufError('the file ends inside its header');
      }
    }
  } finally {
    await file.close();
  }
  throw new GgufError('the header is larger than any real model has');
}

/** Parses a header from the file's first bytes. */
export function parseGgufHeader(bytes: Buffer): GgufHeader {
  const reader = new Reader(bytes);
  if (reader.bytes(4).toString('latin1') !== 'GGUF') throw new GgufError('not a GGUF file');
  const version = reader.u32();
  if (version < 2 || version > 3) throw new GgufError(`GGUF version ${version} is not supported`);
  const tensorCount = reader.u64();
  const metadataCount = reader.u64();
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i += 1) {
    const key = reader.string();
    metadata.set(key, reader.value(reader.u32(), 0));
  }
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i += 1) {
    const name = reader.string();
    const shape = Array.from({ length: bounded(reader.u32(), 8) }, () => reader.u64());
    const type = reader.u32();
    reader.u64();
    tensors.push({ name, shape, type });
  }
  return { metadata, tensors };
}

function bounded(count: number, limit: number): number {
  if (count > limit) throw new GgufError(`a count of ${count} where at most ${limit} makes sense`);
  return count;
}

/** Little-endian values one after another; asks for more bytes instead of running over the end. */
class Reader {
  #at = 0;

  constructor(readonly buffer: Buffer) {}

  bytes(length: number): Buffer {
    const end = this.#at + length;
    if (end > MAX_HEADER_BYTES) throw new GgufError('a length beyond any real header');
    if (end > this.buffer.length) throw new NeedMore();
    const part = this.buffer.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  u32(): number {
    return this.bytes(4).readUInt32LE();
  }

  u64(): number {
    return Number(this.bytes(8).readBigUInt64LE());
  }

  string(): string {
    return this.bytes(this.u64()).toString('utf8');
  }

  value(type: number, nesting: number): GgufValue {
    switch (type) {
      case 0: return this.bytes(1).readUInt8();
      case 1: return this.bytes(1).readInt8();
      case 2: return this.bytes(2).readUInt16LE();
      case 3: return this.bytes(2).readInt16LE();
      case 4: return this.u32();
      case 5: return this.bytes(4).readInt32LE();
      // A single-precision number prints as its shortest decimal, as Go prints a float32.
      case 6: return Number(this.bytes(4).readFloatLE().toPrecision(7));
      case 7: return this.bytes(1).readUInt8() !== 0;
      case 8: return this.string();
      case 9: return this.#array(nesting + 1);
      case 10: return this.u64();
      case 11: return Number(this.bytes(8).readBigInt64LE());
      case 12: return this.bytes(8).readDoubleLE();
      default: throw new GgufError(`unknown metadata type ${type}`);
    }
  }

  #array(nesting: number): GgufValue {
    if (nesting > MAX_NESTING) throw new GgufError('arrays nested too deep');
    const type = this.u32();
    const length = this.u64();
    const items: GgufValue[] = [];
    for (let i = 0; i < length; i += 1) items.push(this.value(type, nesting));
    return items;
  }
}
