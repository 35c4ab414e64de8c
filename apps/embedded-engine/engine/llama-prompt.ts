/** Messages to tokens, by the chat template in the model's own file. */
import type { ChatHistoryItem, ChatWrapper, LlamaModel, Token } from 'node-llama-cpp';
import type { Message } from './fit.js';

/** The tokens of a conversation, up to where the model's answer begins. */
export type PromptWriter = (messages: readonly Message[]) => Token[];

type Binding = typeof import('node-llama-cpp');

/** Text of a user is tokenized as text: a typed `<|im_end|>` does not end the turn. */
export function promptWriter(binding: Binding, model: LlamaModel): PromptWriter {
  const wrapper = chatWrapper(binding, model);
  return (messages) => {
    const { contextText } = wrapper.generateContextState({ chatHistory: history(messages) });
    return withBeginning(model, contextText.tokenize(model.tokenizer));
  };
}

/** The beginning-of-text token in front, where the model wants one and the template wrote none. */
export function withBeginning(model: LlamaModel, tokens: Token[]): Token[] {
  const { bos, shouldPrependBosToken } = model.tokens;
  return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
}

/** The file's Jinja template where it works; what the library knows of the model's family otherwise. */
function chatWrapper(binding: Binding, model: LlamaModel): ChatWrapper {
  const template = model.fileInfo.metadata.tokenizer?.chat_template;
  if (template !== undefined) {
    try {
      const wrapper = new binding.JinjaTemplateChatWrapper({ template, tokenizer: model.tokenizer });
      wrapper.generateContextState({ chatHistory: history([{ role: 'user', content: 'hi' }]) });
      return wrapper;
    } catch {
      return binding.resolveChatWrapper(model);
    }
  }
  return binding.resolveChatWrapper(model);
}

function history(messages: readonly Message[]): ChatHistoryItem[] {
  const items = messages.map(({ role, content }): ChatHistoryItem => {
    if (role === 'system') return { type: 'system', text: content };
    return role === 'assistant' ? { type: 'model', response: [content] } : { type: 'user', text: content };
  });
  // An answer begun by the caller is continued, everything else is answered.
  return items.at(-1)?.type === 'model' ? items : [...items, { type: 'model', response: [] }];
}
