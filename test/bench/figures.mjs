// How figures are summed up and printed, the same in every benchmark.

/** The value below which `share` (0 to 1) of `values` lie. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

export const median = (values) => quantile(values, 0.5);

/** "p50 1.2  p90 3.4  p99 5.6  min 0.9  max 7.8" */
export function distribution(values, digits = 1) {
  const at = (share) => quantile(values, share).toFixed(digits);
  return `p50 ${at(0.5)}  p90 ${at(0.9)}  p99 ${at(0.99)}  min ${Math.min(...values).toFixed(digits)}  max ${Math.max(...values).toFixed(digits)}`;
}

/** One line: what, figure, and the target with its verdict where there is one. */
export function report(what, figure, target) {
  console.log(`${what.padEnd(46)} ${figure}${target ? `   (target ${target.text}: ${target.met ? 'met' : 'MISSED'})` : ''}`);
}
