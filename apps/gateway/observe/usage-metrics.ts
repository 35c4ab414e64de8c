/** What requests took, as metrics: per key, of which there are as many as somebody has made, and per provider. */
import { Injectable } from '@nestjs/common';
import { AppMetrics } from '#runtime';
import { Usage } from '../usage.js';

@Injectable()
export class UsageMetrics {
  constructor(metrics: AppMetrics, usage: Usage) {
    metrics.counter('ollamesh_key_tokens_total', 'Tokens of requests that showed a key, by the key\'s id.', ['key', 'kind'], () =>
      usage.totals().keys.flatMap(({ keyId, promptTokens, answerTokens }) => [
        [{ key: keyId, kind: 'prompt' }, promptTokens] as const,
        [{ key: keyId, kind: 'generated' }, answerTokens] as const,
      ]),
    );
    metrics.counter('ollamesh_key_cost_usd_total', 'Cost of requests that showed a key, in US dollars, by the key\'s id.', ['key'], () => usage.totals().keys.map(({ keyId, costUsd }) => [{ key: keyId }, costUsd]));
    metrics.counter('ollamesh_provider_cost_usd_total', 'Cost of what a provider answered, in US dollars, by the prices that the configuration gives.', ['provider'], () =>
      usage.totals().providers.map(({ provider, costUsd }) => [{ provider }, costUsd]),
    );
  }
}
