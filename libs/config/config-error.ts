/** What is wrong with a configuration: every problem at once, each with its key, where it came from and what to write instead. */
import { MeshError } from '#mesh-error';

export interface Problem {
  /** Path of the setting, such as `gateway.port`; undefined where the whole source is at fault. */
  readonly key?: string;
  /** The file, variable or flag to change. */
  readonly origin: string;
  /** What is wrong, the rest of a sentence that starts with the key: "must be at most 65535". */
  readonly reason: string;
  /** The name or value that was probably meant. */
  readonly suggestion?: string;
}

/** Thrown by the loader; `details.problems` carries the problems as data. */
export class ConfigError extends MeshError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], cause?: unknown) {
    super('invalid_request', ['The configuration is not valid:', ...problems.map((problem) => `  ${sentence(problem)}`)].join('\n'), {
      cause,
      details: { problems },
    });
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

function sentence({ key, origin, reason, suggestion }: Problem): string {
  const hint = suggestion === undefined ? '' : `; did you mean ${suggestion}?`;
  return key === undefined || key === origin ? `${origin} ${reason}${hint}` : `${key} ${reason}${hint} (${origin})`;
}
