/** How many bytes a model's weights take in each of llama.cpp's quantizations: a matrix at a time, by the rules of its quantizer. Pure. */
import { z } from 'zod';
import { type Architecture, type Matrix, type MatrixRole, matricesOf } from './architecture.js';

/** Bytes a value of llama.cpp's storage types: bytes of a block ÷ values in it. */
const BYTES = {
  F16: 2,
  Q8_0: 34 / 32,
  Q6_K: 210 / 256,
  Q5_K: 176 / 256,
  Q5_1: 24 / 32,
  Q5_0: 22 / 32,
  Q4_K: 144 / 256,
  Q4_0: 18 / 32,
  MXFP4: 17 / 32,
  Q3_K: 110 / 256,
  Q2_K: 84 / 256,
} as const;
type StorageType = keyof typeof BYTES;

/** Types whose blocks are 256 values long take another one's place where a row can't be divided so. */
const WITH_SHORT_BLOCKS: Readonly<Partial<Record<StorageType, StorageType>>> = { Q6_K: 'Q8_0', Q5_K: 'Q5_1', Q4_K: 'Q5_0', Q3_K: 'Q4_0', Q2_K: 'Q4_0' };
const LONG_BLOCK = 256;

interface Scheme {
  readonly base: StorageType;
  /** Where a role has another type than `base`. Two types share the layers half and half. */
  readonly roles?: Partial<Record<MatrixRole, readonly StorageType[]>>;
}

const halfBetter = (better: StorageType, base: StorageType) => ({ value: [better, base], down: [better, base], 'experts-down': [better, base] }) as const;
const SCHEMES = {
  F16: { base: 'F16' },
  Q8_0: { base: 'Q8_0' },
  Q6_K: { base: 'Q6_K' },
  Q5_K_M: { base: 'Q5_K', roles: { output: ['Q6_K'], ...halfBetter('Q6_K', 'Q5_K') } },
  Q4_K_M: { base: 'Q4_K', roles: { output: ['Q6_K'], ...halfBetter('Q6_K', 'Q4_K') } },
  Q4_0: { base: 'Q4_0', roles: { output: ['Q6_K'] } },
  Q3_K_M: { base: 'Q3_K', roles: { output: ['Q6_K'], value: ['Q4_K'], down: ['Q4_K'], 'experts-down': ['Q4_K'], 'attention-output': ['Q4_K'] } },
  Q2_K: { base: 'Q2_K', roles: { output: ['Q6_K'], value: ['Q4_K'], down: ['Q3_K'], 'experts-down': ['Q3_K'], 'attention-output': ['Q3_K'] } },
  MXFP4: { base: 'F16', roles: { experts: ['MXFP4'], 'experts-down': ['MXFP4'] } },
} as const satisfies Record<string, Scheme>;

export const Quantization = z.enum(Object.keys(SCHEMES) as [keyof typeof SCHEMES, ...(keyof typeof SCHEMES)[]]);
export type Quantization = z.infer<typeof Quantization>;

/** Bytes of the whole model; about the size of its file. */
export function weightBytes(architecture: Architecture, quantization: Quantization): number {
  return matricesOf(architecture).reduce((sum, matrix) => sum + bytesOf(matrix, quantization), 0);
}

/** Bytes that one token reads: of the experts only those it uses. */
export function activeWeightBytes(architecture: Architecture, quantization: Quantization): number {
  const { experts } = architecture;
  const share = experts ? experts.used / experts.count : 1;
  return matricesOf(architecture).reduce((sum, matrix) => sum + bytesOf(matrix, quantization) * (matrix.role.startsWith('experts') ? share : 1), 0);
}

function bytesOf({ role, row, rows, count }: Matrix, quantization: Quantization): number {
  const { base, roles }: Scheme = SCHEMES[quantization];
  const types = roles?.[role] ?? [base];
  const perValue = types.reduce((sum, type) => sum + BYTES[row % LONG_BLOCK === 0 ? type : (WITH_SHORT_BLOCKS[type] ?? type)], 0) / types.length;
  return row * rows * count * perValue;
}
