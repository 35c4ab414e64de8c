/** Which start-up view a stream gets. */
import type { WriteStream } from 'node:tty';
import { environment } from '#environment';
import { TextView, type View, jsonView } from './start-up-view.js';

export function startUpView(out: Pick<WriteStream, 'write'> & { isTTY?: boolean }, json: boolean): View {
  const write = (text: string) => void out.write(text);
  return json ? jsonView(write) : new TextView(write, out.isTTY === true && !environment()['NO_COLOR']);
}
