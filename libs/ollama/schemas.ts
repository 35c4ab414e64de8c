/** The parts of Ollama's answers that the mesh reads; unknown fields pass unharmed. */
import { Counters, Logprobs } from '#contracts';
import { z } from 'zod';

const Details = z.object({
  family: z.string().optional(),
  parameter_size: z.string().optional(),
  quantization_level: z.string().optional(),
  context_length: z.number().optional(),
});

export const Tags = z.object({
  models: z
    .array(
      z.object({
        name: z.string(),
        digest: z.string(),
        size: z.number(),
        modified_at: z.string(),
        details: Details.optional(),
        capabilities: z.array(z.string()).optional(),
      }),
    )
    .nullable()
    .transform((models) => models ?? []),
});
export type Tag = z.output<typeof Tags>['models'][number];

export const RunningModels = z.object({
  models: z
    .array(
      z.object({
        name: z.string(),
        size: z.number().optional(),
        size_vram: z.number().optional(),
        context_length: z.number().optional(),
        expires_at: z.string().optional(),
      }),
    )
    .nullable()
    .transform((models) => models ?? []),
});
export type RunningModel = z.output<typeof RunningModels>['models'][number];

export const Shown = z.record(z.string(), z.unknown());

export const Version = z.object({ version: z.string() });

export const PullLine = z.object({
  status: z.string(),
  digest: z.string().optional(),
  total: z.number().optional(),
  completed: z.number().optional(),
});
export type PullLine = z.output<typeof PullLine>;

export const Embedded = z.object({
  embeddings: z.array(z.array(z.number())),
  total_duration: z.number().optional(),
  load_duration: z.number().optional(),
  prompt_eval_count: z.number().optional(),
});
export type Embedded = z.output<typeof Embedded>;

const OllamaToolCall = z.object({
  id: z.string().optional(),
  function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()).default({}) }),
});

/** One line of /api/chat or /api/generate: `message` belongs to the first, `response` and `thinking` to the second. */
export const InferenceLine = Counters.extend({
  message: z
    .object({ content: z.string().default(''), thinking: z.string().optional(), tool_calls: z.array(OllamaToolCall).optional() })
    .optional(),
  response: z.string().optional(),
  thinking: z.string().optional(),
  done: z.boolean(),
  done_reason: z.string().optional(),
  logprobs: Logprobs.optional(),
  /** Tokens of the conversation so far, at the end of /api/generate. */
  context: z.array(z.int()).optional(),
});
export type InferenceLine = z.output<typeof InferenceLine>;
