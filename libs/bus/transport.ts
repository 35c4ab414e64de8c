/**
 * Nest's transport strategy over the bus: handlers declared with @Handle(rpc) and @On(event) are served by it.
 * It drains its own subscriptions on close and never owns the connection.
 */
import { Catch, type RpcExceptionFilter } from '@nestjs/common';
import { Ctx, type CustomTransportStrategy, EventPattern, type MessageHandler, MessagePattern, Payload, Server } from '@nestjs/microservices';
import { type MeshEvent, MeshError, type Rpc } from '#contracts';
import { type Observable, defaultIfEmpty, lastValueFrom, throwError } from 'rxjs';
import type { z } from 'zod';
import type { Bus, ServeContext, Subscription } from './bus.js';

const BUS_TRANSPORT = Symbol('ollamesh bus');

type HandlerOf<Input, Output> = (input: Input, context: ServeContext) => Promise<Output> | Output;
type EventHandlerOf<Input> = (input: Input, context: EventContext) => Promise<void> | void;

export interface EventContext {
  /** The node the event concerns; empty for an event of the mesh. */
  readonly node: string;
}

/** Declares that a controller's method answers `rpc` on this node; the compiler checks both its sides. */
export function Handle<R extends Rpc>(rpc: R) {
  return <H extends HandlerOf<z.output<R['request']>, z.input<R['reply']>>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<H>,
  ): void => {
    MessagePattern(rpc.name, BUS_TRANSPORT, { contract: rpc })(target, key, descriptor);
    takesBoth(target, key);
  };
}

/** Declares that a controller's method hears `event`, from every node unless `from` is `own`. */
export function On<E extends MeshEvent>(event: E, { from = 'every' }: { from?: 'own' | 'every' } = {}) {
  return <H extends EventHandlerOf<z.output<E['payload']>>>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<H>): void => {
    (EventPattern(event.name, BUS_TRANSPORT, { contract: event, from }) as MethodDecorator)(target, key, descriptor);
    takesBoth(target, key);
  };
}

/** Nest hands a method its payload alone unless told otherwise. */
function takesBoth(target: object, key: string | symbol): void {
  Payload()(target, key, 0);
  Ctx()(target, key, 1);
}

export class BusTransport extends Server implements CustomTransportStrategy {
  override readonly transportId = BUS_TRANSPORT;
  readonly #bus: Bus;
  #subscriptions: Subscription[] = [];

  constructor(bus: Bus) {
    super();
    this.#bus = bus;
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      for (const [name, handler] of this.messageHandlers) {
        for (const one of unchained(handler)) this.#subscriptions.push(this.#attach(name, one));
      }
      await this.#bus.flush();
    } catch (error) {
      callback(error);
      return;
    }
    callback();
  }

  async close(): Promise<void> {
    const subscriptions = this.#subscriptions;
    this.#subscriptions = [];
    await Promise.all(subscriptions.map((subscription) => subscription.drain()));
  }

  on(): never {
    throw new Error('The bus has its own events: use Bus.onReconnect.');
  }

  unwrap<T>(): T {
    return this.#bus as T;
  }

  #attach(name: string, handler: MessageHandler): Subscription {
    const extras = (handler.extras ?? {}) as { contract?: Rpc | MeshEvent; from?: 'own' | 'every' };
    if (!extras.contract) throw new TypeError(`The handler of "${name}" was not declared with @Handle or @On.`);
    const settle = async (input: unknown, context: unknown) =>
      lastValueFrom(this.transformToObservable(await handler(input, context)).pipe(defaultIfEmpty(undefined)));
    if (extras.contract.kind === 'rpc') return this.#bus.serve(extras.contract, (request, context) => settle(request, context) as Promise<never>);
    return this.#bus.subscribe(
      extras.contract,
      async (payload, node) => {
        await settle(payload, { node } satisfies EventContext);
      },
      { node: extras.from === 'own' ? this.#bus.node : '*' },
    );
  }
}

/** Nest chains the methods that hear one event behind the first; here each has a subscription of its own, from where it said. */
function unchained(handler: MessageHandler): MessageHandler[] {
  const { next } = handler;
  if (!next) return [handler];
  handler.next = undefined;
  return [handler, ...unchained(next as MessageHandler)];
}

/** Lets typed errors pass to the bus as they are; Nest's own filter would replace them by "Internal server error". */
@Catch()
export class MeshErrorFilter implements RpcExceptionFilter {
  catch(thrown: unknown): Observable<never> {
    return throwError(() => MeshError.from(thrown));
  }
}
