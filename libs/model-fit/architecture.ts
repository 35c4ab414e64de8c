/** A model's shape, as its metadata tells it: all that its size and its memory follow from. Pure. */
import { z } from 'zod';

export const Architecture = z.strictObject({
  layers: z.int().positive(),
  /** Width of the residual stream: `hidden_size`, `embedding_length`. */
  hidden: z.int().positive(),
  feedForward: z.int().positive(),
  heads: z.int().positive(),
  kvHeads: z.int().positive(),
  /** Width of one head, where it is not `hidden / heads`. */
  headSize: z.int().positive().optional(),
  vocabulary: z.int().positive(),
  /** The output shares its matrix with the embedding. */
  tiedEmbeddings: z.boolean(),
  /** Feed-forward with a gate has three matrices instead of two. */
  gated: z.boolean().default(true),
  /** Mixture of experts: each layer has so many feed-forwards, of which a token uses some. */
  experts: z.strictObject({ count: z.int().positive(), used: z.int().positive(), feedForward: z.int().positive() }).optional(),
  /** Layers that remember only so many tokens: all but every `globalEvery`th. */
  window: z.strictObject({ tokens: z.int().positive(), globalEvery: z.int().min(2) }).optional(),
  /** It makes vectors: there is no output matrix and nothing is remembered. */
  embedding: z.boolean().default(false),
});
export type Architecture = z.infer<typeof Architecture>;

/** What a matrix is for; quantizations treat some with more care. */
export type MatrixRole = 'embedding' | 'output' | 'value' | 'attention-output' | 'down' | 'experts' | 'experts-down' | 'other';

export interface Matrix {
  readonly role: MatrixRole;
  /** Values a row; quantizations work on blocks of a row. */
  readonly row: number;
  readonly rows: number;
  /** How many there are in the whole model. */
  readonly count: number;
}

/** Every matrix of the model. Norms and biases are a thousandth of it, and left out. */
export function matricesOf(architecture: Architecture): Matrix[] {
  const { layers, hidden, feedForward, heads, kvHeads, vocabulary, tiedEmbeddings, gated, experts, embedding } = architecture;
  const [queries, keys] = [heads * headSizeOf(architecture), kvHeads * headSizeOf(architecture)];
  const upward = gated ? 2 : 1;
  return [
    { role: tiedEmbeddings && !embedding ? 'output' : 'embedding', row: hidden, rows: vocabulary, count: 1 },
    ...(tiedEmbeddings || embedding ? [] : [{ role: 'output' as const, row: hidden, rows: vocabulary, count: 1 }]),
    { role: 'other', row: hidden, rows: queries, count: layers },
    { role: 'other', row: hidden, rows: keys, count: layers },
    { role: 'value', row: hidden, rows: keys, count: layers },
    { role: 'attention-output', row: queries, rows: hidden, count: layers },
    ...(experts
      ? [
          { role: 'experts' as const, row: hidden, rows: experts.feedForward, count: layers * upward * experts.count },
          { role: 'experts-down' as const, row: experts.feedForward, rows: hidden, count: layers * experts.count },
        ]
      : [
          { role: 'other' as const, row: hidden, rows: feedForward, count: layers * upward },
          { role: 'down' as const, row: feedForward, rows: hidden, count: layers },
        ]),
  ];
}

export const headSizeOf = ({ hidden, heads, headSize }: Architecture): number => headSize ?? hidden / heads;

export const parameterCount = (architecture: Architecture): number => matricesOf(architecture).reduce((sum, { row, rows, count }) => sum + row * rows * count, 0);
