// Reads an answer of the source and hands on each token as it comes, `null` at the end.
import { request } from 'undici';

export async function answerOf(source, body, take) {
  const response = await request(`${source}/api/generate`, { method: 'POST', body, bodyTimeout: 0, headersTimeout: 0 });
  let rest = '';
  for await (const chunk of response.body) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const { response: token, done } = JSON.parse(line);
      const taken = take(done ? null : token);
      if (taken) await taken;
    }
  }
}
