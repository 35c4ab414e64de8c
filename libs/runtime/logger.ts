/** Nest's LoggerService over pino, on standard error: JSON for machines, short lines for people. */
import type { LoggerService } from '@nestjs/common';
import { type Logger as Pino, pino } from 'pino';

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

export interface LoggerOptions {
  readonly app: string;
  readonly level: LogLevel;
  /** `line`: "WARN gateway: …"; `json`: one object a line. */
  readonly format: 'line' | 'json';
  readonly write?: (line: string) => void;
}

export class Logger implements LoggerService {
  readonly #pino: Pino;

  constructor({ app, level, format, write = (line) => process.stderr.write(line) }: LoggerOptions) {
    this.#pino = pino(
      { level, base: { app }, formatters: { level: (label) => ({ level: label }) }, timestamp: pino.stdTimeFunctions.isoTime },
      { write: format === 'json' ? write : (line: string) => write(readable(line)) },
    );
  }

  /** True where a line of that level would be written; for what costs something to find out. */
  isWritten(level: LogLevel): boolean {
    return this.#pino.isLevelEnabled(level);
  }

  /** What happened, with its facts: fields of their own in JSON, behind the message for people. */
  event(level: LogLevel, message: string, facts: object): void {
    this.#pino[level](facts, message);
  }

  log(message: unknown, ...context: unknown[]): void {
    this.#pino.debug({ context: contextOf(context) }, textOf(message)); // Nest's own start-up chatter
  }
  info(message: string, facts: object = {}): void {
    this.#pino.info(facts, message);
  }
  warn(message: unknown, ...context: unknown[]): void {
    this.#pino.warn({ context: contextOf(context) }, textOf(message));
  }
  error(message: unknown, ...context: unknown[]): void {
    this.#pino.error({ context: contextOf(context) }, textOf(message));
  }
  fatal(message: unknown, ...context: unknown[]): void {
    this.#pino.fatal({ context: contextOf(context) }, textOf(message));
  }
  debug(message: unknown, ...context: unknown[]): void {
    this.#pino.debug({ context: contextOf(context) }, textOf(message));
  }
  verbose(message: unknown, ...context: unknown[]): void {
    this.#pino.trace({ context: contextOf(context) }, textOf(message));
  }
}

function textOf(message: unknown): string {
  if (message instanceof Error) return message.stack ?? message.message;
  return typeof message === 'string' ? message : JSON.stringify(message);
}

function contextOf(context: unknown[]): string | undefined {
  const name = context.at(-1);
  return typeof name === 'string' ? name : undefined;
}

/** What pino writes beside the facts of an event; Nest's `context` says nothing to a person. */
const NO_FACTS = new Set(['level', 'time', 'app', 'msg', 'context']);

function readable(line: string): string {
  const { level, app, msg, ...rest } = JSON.parse(line) as { level: string; app: string; msg: string } & Record<string, unknown>;
  const facts = Object.entries(rest).flatMap(([name, value]) => (NO_FACTS.has(name) ? [] : [` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`]));
  return `${level.toUpperCase()} ${app}: ${msg}${facts.join('')}\n`;
}
