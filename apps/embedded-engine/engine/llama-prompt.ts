/** Messages to tokens, by the chat template in the model's own file. */
import { Template } from '@huggingface/jinja';
import type { ChatHistoryItem, ChatWrapper, LlamaModel, Token } from 'node-llama-cpp';
import { ApiError } from '#ollama-wire';
import type { ChatPrompt, Message } from './port.js';
import { OPENING } from './thinking-text.js';

/** A conversation up to where the model's answer begins. */
export interface Written {
  readonly tokens: Token[];
  /** The template began a thought that the answer goes on with. */
  readonly opensThinking: boolean;
}

export type PromptWriter = (prompt: Pick<ChatPrompt, 'messages' | 'tools' | 'think'>) => Written;

type Binding = typeof import('node-llama-cpp');
type Asked = Parameters<PromptWriter>[0];

const PLAIN: Asked = { messages: [{ role: 'user', content: 'hi' }], tools: [], think: undefined };

/** The file's Jinja template where it works; what the library knows of the model's family otherwise. */
export function promptWriter(binding: Binding, model: LlamaModel): PromptWriter {
  const source = model.fileInfo.metadata.tokenizer?.chat_template;
  if (source === undefined) return familyWriter(binding, model);
  try {
    const write = templateWriter(binding, model, new Template(source));
    write(PLAIN);
    return write;
  } catch {
    return familyWriter(binding, model);
  }
}

/** The beginning-of-text token in front, where the model wants one and the template wrote none. */
export function withBeginning(model: LlamaModel, tokens: Token[]): Token[] {
  const { bos, shouldPrependBosToken } = model.tokens;
  return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
}

/**
 * The template sees a mark in the place of each text, which is put in afterwards: what a user typed is tokenized as text, and a
 * typed `<|im_end|>` does not end the turn.
 */
function templateWriter(binding: Binding, model: LlamaModel, template: Template): PromptWriter {
  const specials = { bos_token: model.tokens.bosString ?? '', eos_token: model.tokens.eosString ?? '' };
  return (asked) => {
    const texts = new Map<string, string>();
    const mark = marker(asked, texts);
    const last = asked.messages.at(-1);
    // An answer begun by the caller is continued, everything else is answered.
    const continued = last?.role === 'assistant' && (last.toolCalls ?? []).length === 0 && last.content !== '';
    const messages = asked.messages.map((message) => jinjaMessage(message, mark));
    const rendered = render(template, messages, {
      ...specials,
      ...(asked.tools.length === 0 ? {} : { tools: asked.tools }),
      add_generation_prompt: !continued,
      ...(asked.think === undefined ? {} : { enable_thinking: asked.think !== false, thinking: asked.think !== false }),
      ...(typeof asked.think === 'string' ? { reasoning_effort: asked.think } : {}),
    });
    const marks = [...texts.keys()];
    const cut = continued && marks.length > 0 ? rendered.slice(0, rendered.lastIndexOf(marks.at(-1) ?? '') + (marks.at(-1) ?? '').length) : rendered;
    const parts = marks.length === 0 ? [cut] : cut.split(new RegExp(`(${marks.join('|')})`));
    const content = parts.filter((part) => part !== '').map((part) => texts.get(part) ?? new binding.SpecialTokensText(part));
    return { tokens: withBeginning(model, binding.LlamaText(content).tokenize(model.tokenizer)), opensThinking: !continued && cut.trimEnd().endsWith(OPENING) };
  };
}

/** Gives each text a mark that occurs in none of them. */
function marker(asked: Asked, texts: Map<string, string>): (text: string) => string {
  const all = JSON.stringify(asked);
  let prefix = 'text-mark';
  while (all.includes(prefix)) prefix += 'x';
  return (text) => {
    if (text === '') return '';
    const mark = `${prefix}-${texts.size}-`;
    texts.set(mark, text);
    return mark;
  };
}

type JinjaMessage = Readonly<Record<string, unknown>> & { readonly role: string; readonly content: string };

function jinjaMessage(message: Message, mark: (text: string) => string): JinjaMessage {
  return {
    role: message.role,
    ...(message.thinking === undefined ? {} : { reasoning_content: mark(message.thinking), thinking: message.thinking }),
    ...(message.toolCalls === undefined ? {} : { tool_calls: message.toolCalls.map((call) => ({ type: 'function', function: call })) }),
    ...(message.toolName === undefined ? {} : { name: message.toolName, tool_name: message.toolName }),
    content: mark(message.content),
  };
}

/** Some templates refuse a system message, or a role they do not know: these are told as the user's words then. */
function render(template: Template, messages: readonly JinjaMessage[], variables: Readonly<Record<string, unknown>>): string {
  try {
    return template.render({ messages, ...variables });
  } catch {
    try {
      return template.render({ messages: asUser(messages), ...variables });
    } catch (error) {
      throw new ApiError(400, `the model's chat template refuses this conversation: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function asUser(messages: readonly JinjaMessage[]): JinjaMessage[] {
  const merged: JinjaMessage[] = [];
  for (const message of messages) {
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const before = merged.at(-1);
    if (before?.role === 'user' && role === 'user') merged[merged.length - 1] = { ...before, content: `${before.content}\n\n${message.content}` };
    else merged.push({ ...message, role });
  }
  return merged;
}

/** For files without a template that works: no tools and no thinking here. */
function familyWriter(binding: Binding, model: LlamaModel): PromptWriter {
  const wrapper: ChatWrapper = binding.resolveChatWrapper(model);
  return ({ messages }) => {
    const { contextText } = wrapper.generateContextState({ chatHistory: history(messages) });
    return { tokens: withBeginning(model, contextText.tokenize(model.tokenizer)), opensThinking: false };
  };
}

function history(messages: readonly Message[]): ChatHistoryItem[] {
  const items = messages.map(({ role, content }): ChatHistoryItem => {
    if (role === 'system') return { type: 'system', text: content };
    return role === 'assistant' ? { type: 'model', response: [content] } : { type: 'user', text: content };
  });
  return items.at(-1)?.type === 'model' ? items : [...items, { type: 'model', response: [] }];
}
