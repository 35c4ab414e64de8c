/** Which instruction sets Ollama's ROCm libraries are built for, and which others may pass for one of them. Pure. Source: Ollama's documentation. */

const SUPPORTED = new Set(['gfx908', 'gfx90a', 'gfx942', 'gfx950', 'gfx1030', 'gfx1100', 'gfx1101', 'gfx1102', 'gfx1150', 'gfx1151', 'gfx1200', 'gfx1201']);
/** From RDNA 2 on, the steppings of one generation run each other's kernels. */
const FIRST_MAPPABLE_MAJOR = 10;

export type RocmSupport =
  | { readonly kind: 'supported' }
  /** `version` is what HSA_OVERRIDE_GFX_VERSION is set to. */
  | { readonly kind: 'mapped'; readonly version: string }
  | { readonly kind: 'unsupported' };

export function rocmSupportOf(gfxTarget: string): RocmSupport {
  if (SUPPORTED.has(gfxTarget)) return { kind: 'supported' };
  const mine = partsOf(gfxTarget);
  if (!mine || mine.major < FIRST_MAPPABLE_MAJOR) return { kind: 'unsupported' };
  const kin = [...SUPPORTED].map(partsOf).filter((other) => other !== undefined && other.major === mine.major && other.minor === mine.minor);
  const nearest = kin.toSorted((a, b) => distance(a, mine) - distance(b, mine))[0];
  return nearest ? { kind: 'mapped', version: `${nearest.major}.${nearest.minor}.${nearest.stepping}` } : { kind: 'unsupported' };
}

interface Parts {
  readonly major: number;
  readonly minor: number;
  readonly stepping: number;
}

/** "gfx1103" → 11.0.3, "gfx90a" → 9.0.10: the last two digits are minor and stepping. */
function partsOf(gfxTarget: string): Parts | undefined {
  const match = /^gfx(\d+)([0-9a-f])([0-9a-f])$/.exec(gfxTarget);
  return match ? { major: Number(match[1]), minor: Number.parseInt(match[2] ?? '', 16), stepping: Number.parseInt(match[3] ?? '', 16) } : undefined;
}

const distance = (a: Parts | undefined, b: Parts): number => Math.abs((a?.stepping ?? Number.POSITIVE_INFINITY) - b.stepping);
