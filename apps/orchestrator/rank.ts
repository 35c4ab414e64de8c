/** Which engine to use, of those that could be: a pure function of what the drivers answered. */
import type { EngineChoice } from '#contracts';
import { type Candidate, type NotMe, isCandidate } from './drivers/driver.js';

export interface Ranking {
  /** Best first; the next is tried when one can't serve. */
  readonly candidates: readonly Candidate[];
  /** The best of all, if it is not the first because it would have to be fetched: to be fetched while the first answers. */
  readonly later?: Candidate;
  /** Every driver's answer and what became of it, for people. */
  readonly choices: EngineChoice[];
}

/** What is more than this is not downloaded before an engine answers, unless it was asked for by name; in bytes. */
const LARGE_DOWNLOAD = 500e6;

/** From most to least wanted when all else is equal. */
const PRECEDENCE = ['docker', 'native', 'external', 'embedded'] as const;

/** attached > GPU works > nothing to download > docker > native > embedded. @param named true where the configuration names the driver */
export function rank(answers: readonly (Candidate | NotMe)[], named = false): Ranking {
  const sorted = answers.filter(isCandidate).sort((a, b) => {
    return (
      Number(b.attached) - Number(a.attached) ||
      Number(b.gpu) - Number(a.gpu) ||
      Number(b.downloadBytes === 0) - Number(a.downloadBytes === 0) ||
      PRECEDENCE.indexOf(a.driver) - PRECEDENCE.indexOf(b.driver)
    );
  });
  const [best] = sorted;
  const here = sorted.filter(({ downloadBytes }) => downloadBytes === 0);
  if (named || !best || !isLarge(best) || here.length === 0) return { candidates: sorted, choices: answers.map((answer) => choiceOf(answer, best)) };
  const candidates = [...here, ...sorted.filter((candidate) => !here.includes(candidate))];
  const choices = answers.map((answer) =>
    answer === best
      ? { driver: best.driver, chosen: false, reason: `${best.found} It is the best, so it is downloaded (${sizeOf(best)}) while ${candidates[0]?.driver} answers.` }
      : choiceOf(answer, candidates[0]),
  );
  return { candidates, later: best, choices };
}

const isLarge = ({ downloadBytes }: Candidate): boolean => downloadBytes === undefined || downloadBytes > LARGE_DOWNLOAD;
const sizeOf = ({ downloadBytes }: Candidate): string => (downloadBytes === undefined ? 'its size is not known yet' : `${(downloadBytes / 1e9).toFixed(1)} GB`);

function choiceOf(answer: Candidate | NotMe, best: Candidate | undefined): EngineChoice {
  if (!isCandidate(answer)) return { driver: answer.driver, chosen: false, reason: answer.notMe };
  if (answer === best) return { driver: answer.driver, chosen: true, reason: answer.found };
  return { driver: answer.driver, chosen: false, reason: `${answer.found} ${whyNot(answer, best)}` };
}

function whyNot(answer: Candidate, best: Candidate | undefined): string {
  const wish = `To use it: engine.driver "${answer.driver}".`;
  if (best?.attached) return `Not needed: another engine is named or runs already. ${wish}`;
  if (best?.gpu && !answer.gpu) return `Another engine can use the GPU. ${wish}`;
  if (best?.downloadBytes === 0 && answer.downloadBytes !== 0) return `It would have to be downloaded first. ${wish}`;
  return `In reserve. ${wish}`;
}
