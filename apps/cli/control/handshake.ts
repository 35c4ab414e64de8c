/** How a command and the mesh of its run file know each other: each shows that it knows the file's secret, and neither sends it. Pure. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

/** What a command wants: `lease` keeps the mesh while the connection is open, `hold` keeps it until `stop`, `look` only asks who is there. */
export const Wish = z.enum(['lease', 'hold', 'stop', 'look']);
export type Wish = z.infer<typeof Wish>;

export const Hello = z.object({ nonce: z.string().min(16).max(100) });
export const Proof = z.object({ nonce: z.string().min(16).max(100), proof: z.string().max(100) });
export const Request = z.object({ proof: z.string().max(100), wish: Wish });

/** A line of either side is never longer, in bytes. */
export const MAX_LINE_BYTES = 1_024;

export function newNonce(): string {
  return randomBytes(18).toString('base64url');
}

/** @param side who shows it: a proof of one side is none of the other's */
export function proofOf(secret: string, side: 'mesh' | 'command', nonce: string): string {
  return createHmac('sha256', secret).update(`${side} ${nonce}`).digest('base64url');
}

export function proves(proof: string, secret: string, side: 'mesh' | 'command', nonce: string): boolean {
  const [given, wanted] = [Buffer.from(proof), Buffer.from(proofOf(secret, side, nonce))];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
