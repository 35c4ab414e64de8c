/**
 * Who may change what the mesh has: pull, remove, copy and make models. Whoever is on this machine, or anyone where the network
 * is said to be trusted; everyone else needs the operator's token. The one place where doors ask.
 */
import { timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import type { Config } from '#config';
import { MeshError } from '#contracts';
import { CONFIG } from '#runtime';
import { bearerOf } from './rest/bearer.js';

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

@Injectable()
export class OperatorOnly implements CanActivate {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  /** @throws MeshError `forbidden` */
  canActivate(context: ExecutionContext): boolean {
    const { trustedNetwork, operatorToken } = this.config.gateway;
    const request = context.switchToHttp().getRequest<Request>();
    if (trustedNetwork || LOOPBACK.test(request.socket.remoteAddress ?? '') || isSame(bearerOf(request.get('authorization')), operatorToken)) return true;
    throw new MeshError('forbidden', 'Changing models needs the operator\'s token (gateway.operatorToken) as "Authorization: Bearer …".');
  }
}

function isSame(given: string | undefined, expected: string | undefined): boolean {
  if (given === undefined || expected === undefined) return false;
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
