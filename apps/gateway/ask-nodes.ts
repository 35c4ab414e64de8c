/** One question to several nodes at once, answered by those that can. */
import type { MeshView } from './mesh-view.js';

/**
 * @param nodes who is asked; where there are none, the node that a request about no model goes to
 * @returns what those said that answer
 * @throws what the first node threw, where none answers
 */
export async function askNodes<Answer>(mesh: MeshView, nodes: readonly string[], ask: (node: string) => Promise<Answer>): Promise<Answer[]> {
  const answers = await Promise.allSettled((nodes.length > 0 ? nodes : [mesh.nodeFor()]).map(ask));
  const here = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const [failure] = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
  if (here.length === 0 && failure !== undefined) throw failure;
  return here;
}
