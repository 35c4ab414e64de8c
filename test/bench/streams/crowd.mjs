// The viewers' process, as the scenarios talk to it.
import { startServer } from './processes.mjs';

/** @param napMs viewers look at their connections once in so long; 0: at once */
export async function startCrowd({ napMs = 1 } = {}) {
  const program = await startServer('viewers.mjs', ['--nap-ms', String(napMs)]);
  const waiting = new Map();
  let ids = 0;
  program.child.on('message', ({ id, answer, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(answer);
  });
  program.child.once('exit', () => waiting.forEach(({ reject }) => reject(new Error(`The viewers' process is gone: ${program.output()}`))));
  const ask = (message) =>
    new Promise((resolve, reject) => {
      waiting.set(++ids, { resolve, reject });
      program.child.send({ id: ids, ...message });
    });
  return {
    /** Opens viewers of a dialect: `count` on each of `targets`. */
    open: (group, dialect, url, targets, count) => ask({ open: group, dialect, url, targets: targets.map((target) => ({ target, count })) }),
    /** Waits for the end of all. @throws when any viewer missed anything */
    async result(group) {
      const result = await ask({ result: group });
      const { viewers, complete, failures } = result;
      if (complete !== viewers) throw new Error(`${viewers - complete} of ${viewers} viewers did not get everything: ${failures.join(' ')}`);
      return result;
    },
    close: (group) => ask({ close: group }),
    stop: program.stop,
  };
}
