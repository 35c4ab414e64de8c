/** Which node a request goes to. Pure; placement.ts knows the nodes. */

/** One node, as far as the choice for one model depends on it. */
export interface Candidate {
  readonly node: string;
  readonly engine: 'ready' | 'coming' | 'away';
  readonly parallel: number;
  /** Requests of every model that run or wait. */
  readonly load: number;
  /** Where the model is on that node; undefined where it has none of that name. */
  readonly model: { readonly state: 'on-disk' | 'loading' | 'resident'; readonly running: number; readonly waiting: number } | undefined;
}

export type Reason = 'in memory and free' | 'in memory, shortest queue' | 'on disk' | 'could pull it' | 'its engine is coming';

export interface Choice {
  readonly node: string;
  readonly reason: Reason;
}

const RANKS: readonly Reason[] = ['in memory and free', 'in memory, shortest queue', 'on disk', 'could pull it', 'its engine is coming'];

/**
 * The node for a request: in memory and free, before in memory with the shorter queue, before on disk, before one that could pull
 * it; nodes whose engine is only coming are the last resort. Among equals this node, then the one with less to do.
 * @param own the node of whoever chooses
 * @returns undefined where no engine is there or coming
 */
export function chooseNode(candidates: Iterable<Candidate>, own: string): Choice | undefined {
  let best: Rated | undefined;
  for (const candidate of candidates) {
    if (candidate.engine === 'away') continue;
    const rated = rate(candidate, own);
    if (!best || isBetter(rated, best)) best = rated;
  }
  const reason = best && RANKS[best.rank];
  return best && reason && { node: best.node, reason };
}

/** What two candidates are compared by, one after the other; less is better. */
interface Rated {
  readonly rank: number;
  readonly lacksModel: number;
  readonly queue: number;
  readonly isOther: number;
  readonly load: number;
  readonly node: string;
}

function rate(candidate: Candidate, own: string): Rated {
  const { node, model, parallel, load } = candidate;
  const rank = RANKS.indexOf(reasonFor(candidate));
  const queue = RANKS[rank] === 'in memory, shortest queue' && model ? (model.running + model.waiting) / parallel : 0;
  return { rank, lacksModel: Number(model === undefined), queue, isOther: Number(node !== own), load, node };
}

function isBetter(one: Rated, other: Rated): boolean {
  const difference = one.rank - other.rank || one.lacksModel - other.lacksModel || one.queue - other.queue || one.isOther - other.isOther || one.load - other.load;
  return difference < 0 || (difference === 0 && one.node < other.node);
}

function reasonFor({ engine, model, parallel }: Candidate): Reason {
  if (engine === 'coming') return 'its engine is coming';
  if (!model) return 'could pull it';
  if (model.state === 'on-disk') return 'on disk';
  return model.waiting === 0 && model.running < parallel ? 'in memory and free' : 'in memory, shortest queue';
}
