/** Well-known models, read from catalogue.json and checked against a schema. */
import { createRequire } from 'node:module';
import { ModelName } from '#contracts';
import { z } from 'zod';
import { Architecture } from './architecture.js';
import { Quantization, weightBytes } from './quantization.js';

export const CatalogueModel = z.strictObject({
  /** As Ollama's library names it. */
  name: ModelName,
  family: z.string(),
  /** As its makers count, in billions. */
  parametersBillions: z.number().positive(),
  quantization: Quantization,
  /** Of its largest layer in the registry; estimated from the architecture where it isn't known. */
  sizeBytes: z.int().positive().optional(),
  /** Of what sees images, which is loaded beside the model. */
  projectorBytes: z.int().positive().optional(),
  /** Tokens it was made for. */
  contextLength: z.int().positive(),
  capabilities: z.array(z.enum(['completion', 'tools', 'vision', 'thinking', 'embedding', 'insert'])).min(1),
  tasks: z.array(z.enum(['chat', 'code', 'embed', 'vision', 'reasoning'])).min(1),
  licence: z.string(),
  architecture: Architecture,
});
export type CatalogueModel = z.infer<typeof CatalogueModel>;

/** @throws ZodError that names the row and field of a catalogue that is not as it should be. */
export function parseCatalogue(rows: unknown): CatalogueModel[] {
  return z
    .array(CatalogueModel)
    .refine((models) => new Set(models.map(({ name }) => name)).size === models.length, 'names a model twice')
    .parse(rows);
}

let parsed: readonly CatalogueModel[] | undefined;

export function catalogue(): readonly CatalogueModel[] {
  // Not an import: JSON modules are experimental in Node 20, which says so on standard error.
  return (parsed ??= parseCatalogue(createRequire(import.meta.url)('./catalogue.json')));
}

/** Bytes of the model and what it loads beside. */
export function modelBytes({ architecture, quantization, sizeBytes, projectorBytes = 0 }: CatalogueModel): number {
  return (sizeBytes ?? weightBytes(architecture, quantization)) + projectorBytes;
}
