/** On whose behalf an HTTP request asks and how, for every door that makes streams of requests. */
import type { Request, Response } from 'express';
import { z } from 'zod';
import { CacheMode, type ModelChoice, parseOrThrow } from '#contracts';
import { callerOf } from '../../guard/caller.js';
import type { Asker } from '../../intake.js';

/** Of a request, and of its answer. */
export const CACHE_HEADER = 'x-ollamesh-cache';

/** Of an answer whose model was left to the mesh: the task, and why that model. */
const CHOICE_HEADER = 'x-ollamesh-choice';

export function tellChoice(response: Response, choice: ModelChoice | undefined): void {
  if (choice) response.setHeader(CHOICE_HEADER, `${choice.task}: ${choice.reason}`);
}

const Headers = z.object({ [CACHE_HEADER]: CacheMode.optional() });

/** @throws MeshError `invalid_request` for a header that says nothing */
export function askerOf(request: Request): Asker {
  const { [CACHE_HEADER]: cache } = parseOrThrow(Headers, { [CACHE_HEADER]: request.get(CACHE_HEADER) });
  return { caller: callerOf(request), traceparent: request.get('traceparent'), cache };
}
