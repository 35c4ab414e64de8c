/** Which engine to use, of those that could be: a pure function of what the drivers answered. */
import type { EngineChoice } from '#contracts';
import { type Candidate, type NotMe, isCandidate } from './drivers/driver.js';

export interface Ranking {
  /** Best first; the next is tried when one can't serve. */
  readonly candidates: readonly Candidate[];
  /** Every driver's answer and what became of it, for people. */
  readonly choices: EngineChoice[];
}

/** From most to least wanted when all else is equal. */
const PRECEDENCE = ['docker', 'native', 'external', 'embedded'] as const;

/** attached > GPU works > nothing to download > docker > native > embedded. */
export function rank(answers: readonly (Candidate | NotMe)[]): Ranking {
  const candidates = answers.filter(isCandidate).sort((a, b) => {
    return (
      Number(b.attached) - Number(a.attached) ||
      Number(b.gpu) - Number(a.gpu) ||
      Number(b.downloadBytes === 0) - Number(a.downloadBytes === 0) ||
      PRECEDENCE.indexOf(a.driver) - PRECEDENCE.indexOf(b.driver)
    );
  });
  const [best] = candidates;
  return { candidates, choices: answers.map((answer) => choiceOf(answer, best)) };
}

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
