/** One grammar for model names at every entrance: what one takes all take, and all mean the same model by it. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { z } from 'zod';
import {
  CreateSession,
  CreateStream,
  InferenceStart,
  ModelName,
  ModelsDelete,
  ModelsPull,
  ModelsPullStatus,
  ModelsShow,
  UpdateSession,
  isSameModel,
} from '#contracts';
import { AiForm } from './ai-form.js';
import { Config } from './schema.js';

const ENTRANCES: Record<string, (name: string) => { readonly success: boolean; readonly model: unknown }> = {
  'models.default': (name) => entered(Config, { models: { default: name } }, ({ models }) => models.default),
  'models.required': (name) => entered(Config, { models: { required: [name] } }, ({ models }) => models.required[0]),
  'ai.providers.ollama.models': (name) => entered(AiForm, { providers: { ollama: { models: [name] } } }, ({ providers }) => providers?.ollama?.models?.[0]),
  'POST /streams and chat': (name) => entered(CreateStream, { prompt: 'x', model: name }, ({ model }) => model),
  'POST /sessions and createSession': (name) => entered(CreateSession, { model: name }, ({ model }) => model),
  'PATCH /sessions/:id and updateSession': (name) => entered(UpdateSession, { model: name }, ({ model }) => model),
  'models.pull': (name) => entered(ModelsPull.request, { model: name }, ({ model }) => model),
  'models.pull.status': (name) => entered(ModelsPullStatus.request, { model: name }, ({ model }) => model),
  'models.show': (name) => entered(ModelsShow.request, { model: name }, ({ model }) => model),
  'models.delete': (name) => entered(ModelsDelete.request, { model: name }, ({ model }) => model),
  'inference.start': (name) => entered(InferenceStart.request.pick({ model: true }), { model: name }, ({ model }) => model),
};

function entered<Schema extends z.ZodType>(schema: Schema, input: unknown, modelOf: (parsed: z.output<Schema>) => unknown) {
  const parsed = schema.safeParse(input);
  return { success: parsed.success, model: parsed.success ? modelOf(parsed.data) : undefined };
}

const part = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,20}$/);
const valid = fc
  .tuple(fc.option(part, { nil: undefined }), part, fc.option(part, { nil: undefined }))
  .map(([namespace, model, tag]) => `${namespace === undefined ? '' : `${namespace}/`}${model}${tag === undefined ? '' : `:${tag}`}`);
const anything = fc.array(fc.stringMatching(/^[a-zA-Z0-9_.\-:/\\%~ ]{0,12}$/), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

describe('model names at every entrance', () => {
  it('one grammar: what one entrance takes or refuses, all do, and all make the same name of it', () => {
    fc.assert(fc.property(fc.oneof(valid, anything), (name) => {
      const expected = ModelName.safeParse(name);
      for (const enter of Object.values(ENTRANCES)) expect(enter(name)).toEqual({ success: expected.success, model: expected.data });
    }), { numRuns: 300 });
  });

  it('default tag: a name without a tag is that name with :latest, whatever its case', () => {
    fc.assert(fc.property(valid.filter((name) => !name.includes(':')), (name) => {
      for (const enter of Object.values(ENTRANCES)) {
        expect(enter(name)).toEqual(enter(`${name}:latest`));
        expect(isSameModel(String(enter(name).model), String(enter(`${name.toUpperCase()}:Latest`).model))).toBe(true);
      }
    }), { numRuns: 200 });
  });
});
