/** Quantities as people read them. */

/** Bytes in GiB, such as "23.5". */
export const gibibytes = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1);
