/** What gpu-agent says about its machine. */
import { z } from 'zod';
import { event, rpc } from './define.js';

export const Gpu = z.object({
  index: z.int().nonnegative(),
  vendor: z.enum(['nvidia', 'amd', 'intel', 'apple', 'other']),
  name: z.string(),
  uuid: z.string().optional(),
  pciBusId: z.string().optional(),
  driverVersion: z.string().optional(),
  computeCapability: z.string().optional(),
  vramTotalBytes: z.number().nonnegative().optional(),
  vramUsedBytes: z.number().nonnegative().optional(),
  utilizationPercent: z.number().min(0).max(100).optional(),
  temperatureCelsius: z.number().optional(),
  powerLimitWatts: z.number().optional(),
});
export type Gpu = z.infer<typeof Gpu>;

export const Hardware = z.object({
  node: z.string(),
  /** When it was read, ISO 8601. */
  sampledAt: z.iso.datetime(),
  os: z.object({ platform: z.string(), distribution: z.string(), release: z.string(), arch: z.string() }),
  cpu: z.object({
    brand: z.string(),
    /** Logical processors. */
    cores: z.int().positive(),
    physicalCores: z.int().positive(),
    loadPercent: z.number().min(0).max(100),
  }),
  memory: z.object({ totalBytes: z.number().positive(), availableBytes: z.number().nonnegative() }),
  gpus: z.array(Gpu),
  /** What was looked for and what came of it, a sentence each. */
  findings: z.array(z.string()),
});
export type Hardware = z.infer<typeof Hardware>;

export const HardwareDescribe = rpc('hardware.describe', 'gpu-agent', z.object({}), Hardware);
export const HardwareChanged = event('hardware.changed', Hardware);
