/** What a probe of GPUs answers. The reader puts the answers of all probes together. */
import type { Gpu, HardwareWarning } from '#contracts';

export interface FoundGpu extends Gpu {
  /** Four hexadecimal digits; what tells which GPU a tool means that does not say its PCI slot. */
  readonly pciDeviceId?: string;
}

export interface GpusFound {
  readonly gpus: readonly FoundGpu[];
  /** What was looked for and what came of it, a sentence each. */
  readonly findings: readonly string[];
  readonly warnings: readonly HardwareWarning[];
  /** True when the tool hung, so that asking again at once is no use. */
  readonly hung?: boolean;
  /** True when the tool is not there, so that looking again soon is no use. */
  readonly missing?: boolean;
}

export const nothingFound = (...findings: string[]): GpusFound => ({ gpus: [], findings, warnings: [] });

/** "00000000:01:00.0" or "0000:01:00.0" in either case, as the kernel writes it: "0000:01:00.0". */
export function normalisePciBusId(text: string): string {
  return text.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, '');
}

export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;

/** The whole number that `text` is; undefined for anything else. */
export const wholeNumber = (text: string | undefined): number | undefined => (text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined);

/** The JSON object in a tool's output, which warnings may precede; empty where there is none. */
export function objectIn(stdout: string): Record<string, unknown> {
  const start = stdout.indexOf('{');
  if (start < 0) return {};
  try {
    const parsed: unknown = JSON.parse(stdout.slice(start));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {}; // Cut short, or an error in words.
  }
}
