/** The only place that reads the process's environment; everything else takes it as an argument. */

export type Environment = Readonly<Record<string, string | undefined>>;

/** A copy of the environment as it is now, so that nothing that happens later changes what was read. */
export const environment = (): Environment => ({ ...process.env });
