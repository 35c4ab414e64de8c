/** What an answer's head says of who gave it. */
import type { Response } from 'express';
import { FailedTarget, MeshError } from '#contracts';
import { z } from 'zod';
import { type Answered, NOBODY, headerText, providerOf, routeText } from '../route-text.js';

const PROVIDER_HEADER = 'x-ollamesh-provider';
const ROUTE_HEADER = 'x-ollamesh-route';
const MODEL_HEADER = 'x-ollamesh-model';

const Tried = z.array(FailedTarget);

/** No effect while it is not known who answers. */
export function tellProvider(response: Response, answered: Omit<Answered, 'model'>): void {
  const { route } = answered;
  const provider = providerOf(answered);
  if (provider !== NOBODY) response.setHeader(PROVIDER_HEADER, provider);
  if (!route) return;
  response.setHeader(MODEL_HEADER, headerText(route.model));
  response.setHeader(ROUTE_HEADER, routeText(route.tried, route));
}

/** Of an error: who was tried, where there was a choice. */
export function tellTried(response: Response, thrown: unknown): void {
  const tried = Tried.safeParse(MeshError.from(thrown).details?.['tried']);
  if (tried.success && !response.headersSent) response.setHeader(ROUTE_HEADER, routeText(tried.data));
}
