/** What an answer's head says of who gave it. */
import type { Response } from 'express';
import { MeshError, type ModelChoice } from '#contracts';
import type { ApiError } from '#ollama-wire';
import { type Answered, NOBODY, headerText, providerOf, routeText, triedIn } from '../route-text.js';
import { tellChoice } from './rest/asker.js';

const PROVIDER_HEADER = 'x-ollamesh-provider';
const ROUTE_HEADER = 'x-ollamesh-route';
const MODEL_HEADER = 'x-ollamesh-model';

/** The model may be in a provider's own words, which no header need be able to carry. */
export function tellModel(response: Response, { model, node, choice }: { readonly model: string; readonly node: string | undefined; readonly choice?: ModelChoice }): void {
  tellChoice(response, choice);
  response.setHeader(MODEL_HEADER, headerText(model));
  if (node !== undefined) response.setHeader('x-ollamesh-node', node);
}

/** No effect while it is not known who answers. */
export function tellProvider(response: Response, answered: Omit<Answered, 'model'>): void {
  const { route } = answered;
  const provider = providerOf(answered);
  if (provider !== NOBODY) response.setHeader(PROVIDER_HEADER, provider);
  if (!route) return;
  response.setHeader(MODEL_HEADER, headerText(route.model));
  response.setHeader(ROUTE_HEADER, routeText(route.tried, route));
}

/** Of an error, or of what another door's words stand for: who was tried, where there was a choice. */
export function tellTried(response: Response, error: ApiError | MeshError): void {
  const tried = triedIn(MeshError.from(error instanceof MeshError ? error : error.cause));
  if (tried) response.setHeader(ROUTE_HEADER, routeText(tried));
}
