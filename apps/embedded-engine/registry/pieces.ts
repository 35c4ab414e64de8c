/**
 * Which bytes of a blob are on disk: the blob in pieces, each filled from its start. Pieces are fetched in order, several at once, so
 * that the bytes from the beginning on grow steadily and can be hashed while the rest is on its way. Pure but for its counters.
 */

const MB = 1024 * 1024;
/** Small enough that a blob has a few for each connection, large enough that a request per piece costs nothing. */
const [LEAST_PIECE, MOST_PIECE, PIECES] = [4 * MB, 64 * MB, 32] as const;

/** What is written beside a partial file, so that a later process goes on with it. */
export interface Journal {
  readonly size: number;
  readonly pieceBytes: number;
  /** Bytes that are on disk of each piece. */
  readonly done: readonly number[];
}

export class Pieces {
  readonly pieceBytes: number;
  readonly #done: number[];

  /** @param size bytes of the blob */
  constructor(readonly size: number, pieceBytes = pieceBytesFor(size), done: readonly number[] = []) {
    this.pieceBytes = pieceBytes;
    this.#done = Array.from({ length: Math.max(1, Math.ceil(size / pieceBytes)) }, (_, index) => done[index] ?? 0);
  }

  /** From a journal's text; everything is still to do when it is damaged or speaks of another size. */
  static resume(size: number, text: string | undefined): Pieces {
    const journal = text === undefined ? undefined : parseJournal(text);
    return journal?.size === size ? new Pieces(size, journal.pieceBytes, journal.done) : new Pieces(size);
  }

  get count(): number {
    return this.#done.length;
  }

  /** Bytes on disk. */
  get completed(): number {
    return this.#done.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Bytes on disk from the beginning without a gap. */
  get contiguous(): number {
    const gap = this.#done.findIndex((bytes, index) => bytes < this.#length(index));
    return gap < 0 ? this.size : gap * this.pieceBytes + (this.#done[gap] ?? 0);
  }

  /** The bytes [from, to) that piece `index` lacks; from = to when it is whole. */
  missing(index: number): { readonly from: number; readonly to: number } {
    const start = index * this.pieceBytes;
    return { from: start + (this.#done[index] ?? 0), to: start + this.#length(index) };
  }

  /** Notes that the next `bytes` of the piece are on disk. */
  wrote(index: number, bytes: number): void {
    this.#done[index] = Math.min(this.#length(index), (this.#done[index] ?? 0) + bytes);
  }

  /** The same blob as one piece, for a server that can't send a part of it: what follows a gap is given up. */
  inOnePiece(): Pieces {
    return new Pieces(this.size, Math.max(1, this.size), [this.contiguous]);
  }

  journal(): Journal {
    return { size: this.size, pieceBytes: this.pieceBytes, done: this.#done };
  }

  #length(index: number): number {
    return Math.min(this.pieceBytes, this.size - index * this.pieceBytes);
  }
}

export function pieceBytesFor(size: number): number {
  return Math.min(MOST_PIECE, Math.max(LEAST_PIECE, Math.ceil(size / PIECES / MB) * MB));
}

function parseJournal(text: string): Journal | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // Cut off by a power failure: as good as none.
  }
  if (typeof value !== 'object' || value === null || !('size' in value) || !('pieceBytes' in value) || !('done' in value)) return undefined;
  const { size, pieceBytes, done } = value;
  if (!isCount(size) || !isCount(pieceBytes) || pieceBytes === 0 || !Array.isArray(done) || !done.every(isCount)) return undefined;
  if (done.length !== Math.max(1, Math.ceil(size / pieceBytes)) || done.some((bytes, index) => bytes > Math.min(pieceBytes, size - index * pieceBytes))) return undefined;
  return { size, pieceBytes, done };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
