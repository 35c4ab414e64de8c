/**
 * One blob on its way to disk: pieces fetched several at once, what is on disk noted beside it so that a later process goes on, the
 * digest computed while bytes come, the final name only once it is right.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, isMissing, blobPath } from '../store/blobs.js';
import { type Layer, NoRanges, type RegistryClient, type Source, DigestMismatch, RegistryError, withRetries, type RetryPolicy } from '#registry';
import { Pieces } from './pieces.js';

/** Pieces under way at once. */
const CONNECTIONS = 8;
/** Milliseconds between two notes of what is on disk: what a killed process fetches again at most. */
const NOTE_MS = 500;
/** Bytes hashed between two turns of the event loop, which answers chats meanwhile. */
const HASH_BYTES = 256 * 1024;

/** Files of an unfinished blob: its bytes, and the journal beside them. */
function partialPaths(root: string, layer: Layer): { readonly data: string; readonly journal: string } {
  const data = `${blobPath(root, layer.digest)}-partial`;
  return { data, journal: `${data}.json` };
}

/** Bytes of the disk that an unfinished download of that blob takes up already. */
export async function allocatedBytes(root: string, layer: Layer): Promise<number> {
  const known = await stat(partialPaths(root, layer).data).catch(absent);
  return known === undefined ? 0 : Math.min(layer.size, known.blocks * 512);
}

export class Download {
  #pieces: Pieces;
  #noting: Promise<unknown> = Promise.resolve();
  #noteBytes = 0;
  #wake: () => void = () => undefined;

  private constructor(
    private readonly client: RegistryClient,
    private readonly retries: RetryPolicy,
    private readonly root: string,
    readonly layer: Layer,
    pieces: Pieces,
  ) {
    this.#pieces = pieces;
  }

  /** Begins with what an earlier download of that blob left. */
  static async resume(client: RegistryClient, retries: RetryPolicy, root: string, layer: Layer): Promise<Download> {
    const { data, journal } = partialPaths(root, layer);
    const there = (await stat(data).catch(absent)) !== undefined;
    return new Download(client, retries, root, layer, Pieces.resume(layer.size, there ? await readFile(journal, 'utf8').catch(absent) : undefined));
  }

  /** Bytes on disk. */
  get completed(): number {
    return this.#pieces.completed;
  }

  /**
   * Fetches what is missing. When it fails or is aborted, what came stays for the next time, unless it is wrong.
   * @throws RegistryError; DigestMismatch after which nothing is left
   */
  async run(source: Source, signal: AbortSignal): Promise<void> {
    const paths = partialPaths(this.root, this.layer);
    await mkdir(dirname(paths.data), { recursive: true });
    const resuming = this.completed > 0;
    const journal = await open(paths.journal, resuming ? 'r+' : 'w+');
    const file = await open(paths.data, resuming ? 'r+' : 'w+');
    try {
      // The first takes room on the disk for all that follow; one that fails makes the last one fail.
      const noting = setInterval(() => void this.#note(journal).catch(() => undefined), NOTE_MS);
      try {
        await this.#note(journal);
        await this.#fetchAndHash(file, source, signal);
        await file.sync();
      } finally {
        clearInterval(noting);
        await this.#note(journal).finally(() => Promise.all([file.close(), journal.close()]));
      }
      await rename(paths.data, blobPath(this.root, this.layer.digest));
      await removeAll(paths);
    } catch (error) {
      if (error instanceof DigestMismatch) await removeAll(paths);
      if (['ENOSPC', 'EDQUOT'].includes(errorCode(error))) throw new RegistryError(`no space left on device: free some in ${this.root} and pull again, which goes on from here`);
      throw error;
    }
  }

  async #fetchAndHash(file: FileHandle, source: Source, signal: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const both = AbortSignal.any([signal, failed.signal]);
    const jobs = [this.#fetch(file, source, both), this.#hash(file, both)];
    // The first failure ends the other job, and nobody writes to the file any more when it is told.
    for (const job of jobs) job.catch((error: unknown) => failed.abort(error));
    await Promise.allSettled(jobs);
    signal.throwIfAborted();
    if (failed.signal.aborted) throw failed.signal.reason;
  }

  async #fetch(file: FileHandle, source: Source, signal: AbortSignal): Promise<void> {
    try {
      await this.#fetchPieces(file, source, false, signal);
    } catch (error) {
      if (!(error instanceof NoRanges)) throw error;
      this.#pieces = this.#pieces.inOnePiece();
      await this.#fetchPieces(file, source, true, signal);
    }
  }

  async #fetchPieces(file: FileHandle, source: Source, whole: boolean, signal: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const both = AbortSignal.any([signal, failed.signal]);
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < this.#pieces.count) {
        const index = next;
        next += 1;
        await withRetries(this.retries, both, (gotOn) => this.#fetchPiece(file, source, index, whole, both, gotOn));
      }
    };
    const workers = Array.from({ length: Math.min(CONNECTIONS, this.#pieces.count) }, worker);
    for (const one of workers) one.catch((error: unknown) => failed.abort(error));
    await Promise.allSettled(workers);
    signal.throwIfAborted();
    if (failed.signal.aborted) throw failed.signal.reason;
  }

  async #fetchPiece(file: FileHandle, source: Source, index: number, whole: boolean, signal: AbortSignal, gotOn: () => void): Promise<void> {
    const { from, to } = this.#pieces.missing(index);
    if (from === to) return;
    let at = from;
    for await (const chunk of this.client.bytes(source, this.layer, from, to, whole, signal)) {
      await writeAll(file, chunk, at);
      at += chunk.length;
      this.#pieces.wrote(index, chunk.length);
      gotOn();
      this.#wake();
    }
    if (at < to) throw new RegistryError('unexpected EOF', true);
  }

  /** Reads from the beginning on what has come, and checks the digest at the end. */
  async #hash(file: FileHandle, signal: AbortSignal): Promise<void> {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(HASH_BYTES);
    let hashed = 0;
    while (hashed < this.layer.size) {
      signal.throwIfAborted();
      const ready = Math.min(HASH_BYTES, this.#pieces.contiguous - hashed);
      if (ready <= 0) {
        await this.#progress(signal);
        continue;
      }
      const { bytesRead } = await file.read(buffer, 0, ready, hashed);
      // Shorter than noted: a crash of the whole machine lost it.
      if (bytesRead === 0) throw new DigestMismatch(this.layer.digest, `${hashed} bytes`);
      hash.update(buffer.subarray(0, bytesRead));
      hashed += bytesRead;
    }
    const got = `sha256:${hash.digest('hex')}`;
    if (got !== this.layer.digest) throw new DigestMismatch(this.layer.digest, got);
  }

  #progress(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#wake = () => undefined;
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  /**
   * Writes down what is on disk by now, in one write over the last note: a killed process leaves a journal that is true, and a disk
   * that is full has room for it. A crash of the whole machine may leave less; then the digest tells.
   */
  async #note(journal: FileHandle): Promise<void> {
    this.#noting = this.#noting.then(async () => {
      const text = JSON.stringify(this.#pieces.journal()).padEnd(this.#noteBytes);
      this.#noteBytes = text.length;
      await journal.write(text, 0);
    });
    await this.#noting;
  }
}

async function writeAll(file: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, written, chunk.length - written, position + written);
    written += bytesWritten;
  }
}

async function removeAll(paths: Readonly<Record<string, string>>): Promise<void> {
  await Promise.all(Object.values(paths).map((path) => rm(path, { force: true })));
}

function absent(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw error;
}
