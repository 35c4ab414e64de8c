/** `ollamesh chat`: asks one question and streams the answer, or talks until the input ends. */
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import type { Answer, ChatMessage, Client } from '#client';
import { type FindOptions, engineAnswering, findOrLaunchMesh } from '../find-mesh.js';
import { withMeshOptions } from '../settings.js';
import { exitCodeOf } from '../shutdown.js';
import { AnswerText } from '../view/answer-text.js';
import { startUpView } from '../view/choose-view.js';

const ENGINE_PATIENCE_MS = 60_000;

export function chatCommand(): Command {
  return withMeshOptions(new Command('chat').description('ask a model; without a question: a conversation'))
    .argument('[question]', 'what to ask; "-" reads it from standard input')
    .option('-m, --model <name>', 'the model to ask (default: the configured one)')
    .option('--system <text>', 'a system prompt')
    .option('--url <url>', 'address of the gateway (default: the mesh that runs, or one started for this command)')
    .action(chat);
}

type ChatOptions = FindOptions & { model?: string; system?: string };

async function chat(question: string | undefined, options: ChatOptions): Promise<void> {
  const mesh = await findOrLaunchMesh(options, startUpView(process.stderr, false));
  let running: Answer | undefined;
  const interrupted = () => {
    const ending = (running?.cancel() ?? Promise.resolve()).catch(() => undefined); // Ending anyway.
    void ending.finally(() => process.exit(exitCodeOf('SIGINT')));
  };
  process.once('SIGINT', interrupted);
  try {
    await engineAnswering(mesh.client, ENGINE_PATIENCE_MS);
    const ask = (messages: ChatMessage[]) => answer(mesh.client, messages, options, (answering) => (running = answering));
    if (question !== undefined) await ask([{ role: 'user', content: question === '-' ? await readAll(process.stdin) : question }]);
    else await converse(ask);
  } finally {
    process.off('SIGINT', interrupted);
    mesh.release();
  }
}

async function converse(ask: (messages: ChatMessage[]) => Promise<string>): Promise<void> {
  const messages: ChatMessage[] = [];
  const input = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
  input.prompt();
  for await (const line of input) {
    if (line.trim() !== '') {
      messages.push({ role: 'user', content: line });
      messages.push({ role: 'assistant', content: await ask(messages) });
    }
    input.prompt();
  }
}

/** Streams one answer to standard output. @returns the whole text @throws MeshError what ended it early */
async function answer(client: Client, messages: ChatMessage[], { model, system }: ChatOptions, started: (answer: Answer) => void): Promise<string> {
  const answering = await client.chat(messages, { ...(model !== undefined && { model }), ...(system !== undefined && { system }) });
  started(answering);
  const shown = new AnswerText();
  for await (const event of answering) {
    if (event.event === 'snapshot' || event.event === 'delta') process.stdout.write(shown.take(event));
  }
  process.stdout.write('\n');
  return shown.text;
}

async function readAll(input: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of input) text += chunk.toString();
  return text;
}
