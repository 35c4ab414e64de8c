/**
 * OpenTelemetry traces, where the environment asks for them by OpenTelemetry's own variables. Its packages are loaded then
 * and only then: they are optional, and whoever wants no traces pays nothing for them.
 */
import type { Span as OtelSpan } from '@opentelemetry/api';
import type { Attributes, Span, SpanKind, Tracer } from '#bus';
import type { Environment } from '#config';
import type { AppName } from '#contracts';

/** How long sending what is left may take at the end, in milliseconds. */
const CLOSE_LIMIT_MS = 2_000;
const PACKAGES = '@opentelemetry/api @opentelemetry/sdk-trace-base @opentelemetry/exporter-trace-otlp-http @opentelemetry/resources';
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

export interface TracingOptions {
  readonly app: AppName;
  readonly node: string;
  readonly version: string;
  readonly env: Environment;
  readonly log: { warn(message: string): void };
}

/** True where the environment asks for traces. */
export function wantsTraces(env: Environment): boolean {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return false;
  const exporter = env['OTEL_TRACES_EXPORTER'];
  if (exporter) return exporter !== 'none';
  return Boolean(env['OTEL_EXPORTER_OTLP_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']);
}

/** @returns undefined where no traces are wanted, or OpenTelemetry's packages are not installed, which is logged */
export async function openTracer({ app, node, version, env, log }: TracingOptions): Promise<Tracer | undefined> {
  if (!wantsTraces(env)) return undefined;
  const packages = await load().catch((thrown: unknown) => {
    log.warn(`Traces are asked for by OTEL_* variables, but OpenTelemetry can't be loaded (${thrown instanceof Error ? thrown.message : String(thrown)}). Install it beside ollamesh: npm install ${PACKAGES}`);
    return undefined;
  });
  if (!packages) return undefined;
  const { api, trace, exporter, resources } = packages;
  const provider = new trace.BasicTracerProvider({
    // What the environment says of the service wins, as everywhere.
    resource: resources
      .defaultResource()
      .merge(resources.resourceFromAttributes({ 'service.name': `ollamesh-${app}`, 'service.version': version, 'service.instance.id': node }))
      .merge(resources.detectResources({ detectors: [resources.envDetector] })),
    spanProcessors: [new trace.BatchSpanProcessor(new exporter.OTLPTraceExporter())],
  });
  const tracer = provider.getTracer('ollamesh', version);
  const kinds: Record<SpanKind, number> = { internal: api.SpanKind.INTERNAL, server: api.SpanKind.SERVER, client: api.SpanKind.CLIENT };
  return {
    start(name, kind, parent, attributes = {}) {
      const [, traceId, spanId, flags] = TRACEPARENT.exec(parent ?? '') ?? [];
      const context =
        traceId === undefined || spanId === undefined || flags === undefined
          ? api.ROOT_CONTEXT
          : api.trace.setSpanContext(api.ROOT_CONTEXT, { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true });
      return spanOf(tracer.startSpan(name, { kind: kinds[kind], attributes: defined(attributes) }, context), api.SpanStatusCode.ERROR);
    },
    close: () => bounded(provider.shutdown(), log),
  };
}

function spanOf(span: OtelSpan, error: number): Span {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    rename: (name) => void span.updateName(name),
    set: (attributes) => void span.setAttributes(defined(attributes)),
    end: (failure) => {
      if (failure !== undefined) span.setStatus({ code: error, message: failure });
      span.end();
    },
  };
}

async function load() {
  const [api, trace, exporter, resources] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  return { api, trace, exporter, resources };
}

function defined(attributes: Attributes): Record<string, string | number | boolean> {
  return Object.fromEntries(Object.entries(attributes).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** Whoever collects traces may be gone: that keeps no process from ending. */
async function bounded(closing: Promise<void>, log: TracingOptions['log']): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_LIMIT_MS)));
  await Promise.race([closing.catch((thrown: unknown) => log.warn(`The last traces could not be sent: ${String(thrown)}`)), late]);
  clearTimeout(timer);
}
