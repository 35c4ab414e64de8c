/**
 * Markdown that a model wrote, as page elements. Three fences: HTML in it is shown as text, what marked makes of the rest goes
 * through DOMPurify with a short list of tags, and the page's content security policy runs no inline script.
 */
import DOMPurify from 'dompurify';
import { Marked, type Token, type Tokens, type TokensList } from 'marked';
import { CodeBlock, frameCode } from './code-block.js';
import { make } from './dom.js';
import { finishedPart } from './finished-part.js';

const SANITISING = {
  ALLOWED_TAGS: [
    'p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'blockquote', 'ul', 'ol', 'li', 'pre', 'code', 'a',
    'strong', 'em', 'del', 'b', 'i', 'u', 'sub', 'sup', 'kbd', 'mark', 'table', 'thead', 'tbody', 'tr', 'th', 'td',
  ],
  ALLOWED_ATTR: ['href', 'title', 'class', 'start', 'align'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  // No relative links: they would lead into the gateway, or, with #, to another view of this page.
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true as const,
};

/** Inline tags that models write on purpose; every other HTML is most likely meant to be read. */
const HARMLESS_TAG = /^<\/?(?:br|sub|sup|kbd|mark|b|i|u)\s*\/?>$/i;

const markdown = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => (HARMLESS_TAG.test(text) ? text : escape(text)),
    // Nothing is loaded from elsewhere: a picture becomes a link to it.
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
});

interface Block {
  readonly raw: string;
  readonly element: HTMLElement;
  /** The code or list inside grows in place. */
  readonly grow?: ((token: Token) => boolean) | undefined;
}

/**
 * A text that grows. Its finished blocks are neither parsed nor made again; only the tail is, from the last block that more text may
 * still change. So a long answer costs per frame what its last block costs, and selections and scroll positions elsewhere survive.
 */
export class MarkdownView {
  readonly element = make('div', { class: 'prose' });
  #text = '';
  #ended = false;
  /** How many characters, and how many of the blocks, are finished. */
  #finishedLength = 0;
  #finished = 0;
  #blocks: Block[] = [];
  #links: TokensList['links'] = {};

  /** @param how `whole`: nothing follows */
  render(text: string, { whole = false }: { whole?: boolean } = {}): void {
    if (text === this.#text && whole === this.#ended) return;
    if (!text.startsWith(this.#text)) this.#startAnew();
    this.#text = text;
    this.#ended = whole;
    const tokens = this.#lex(text.slice(this.#finishedLength));
    this.#draw(tokens.filter(({ type }) => type !== 'space'));
    if (!whole) this.#finish(tokens);
    else if (Object.keys(this.#links).length > 0) this.#drawReferences(); // Links may be defined behind where they stand.
  }

  #lex(text: string): TokensList {
    const tokens = markdown.lexer(text);
    Object.assign(this.#links, tokens.links);
    return tokens;
  }

  #draw(tokens: readonly Token[]): void {
    const tail = tokens.map((token, index) => {
      const known = this.#blocks[this.#finished + index];
      if (known?.raw === token.raw) return known;
      if (known?.grow?.(token)) return { ...known, raw: token.raw };
      const block = blockOf(token);
      if (known) known.element.replaceWith(block.element);
      else this.element.append(block.element);
      return block;
    });
    for (const { element } of this.#blocks.splice(this.#finished)) if (!tail.some((block) => block.element === element)) element.remove();
    this.#blocks.push(...tail);
  }

  #finish(tokens: readonly Token[]): void {
    const { length, blocks } = finishedPart(tokens);
    this.#finishedLength += length;
    this.#finished += blocks;
  }

  #drawReferences(): void {
    const definitions = Object.entries(this.#links).map(([name, { href, title }]) => `[${name}]: <${href}>${title ? ` "${title.replaceAll('"', "'")}"` : ''}`).join('\n');
    this.#blocks = this.#blocks.map((block) => {
      if (!block.raw.includes('[')) return block;
      const [token] = markdown.lexer(`${definitions}\n\n${block.raw}`).filter(({ type }) => type !== 'space' && type !== 'def');
      if (!token) return block;
      const made = blockOf(token);
      block.element.replaceWith(made.element);
      return made;
    });
  }

  #startAnew(): void {
    this.#text = '';
    this.#finishedLength = this.#finished = 0;
    this.#links = {};
    for (const { element } of this.#blocks.splice(0)) element.remove();
  }
}

function blockOf(token: Token): Block {
  if (token.type === 'code') return codeBlock(token as Tokens.Code);
  if (token.type === 'list') return listBlock(token as Tokens.List);
  return { raw: token.raw, element: make('div', { class: 'block' }, sanitised(markdown.parser([token]))) };
}

function codeBlock(token: Tokens.Code): Block {
  const language = languageOf(token);
  const code = new CodeBlock(language);
  const grow = (next: Token) => next.type === 'code' && languageOf(next as Tokens.Code) === language && code.show(`${(next as Tokens.Code).text.replace(/\n$/, '')}\n`);
  grow(token);
  return { raw: token.raw, element: make('div', { class: 'block' }, code.element), grow };
}

const languageOf = ({ lang }: Tokens.Code) => /^\S*/.exec(lang ?? '')?.[0] ?? '';

/** Each item is made once, as long as what it says stays. */
function listBlock(first: Tokens.List): Block {
  const list = make(first.ordered ? 'ol' : 'ul', { ...(first.ordered && first.start !== 1 && { start: first.start }) });
  const items: string[] = [];
  const grow = (token: Token): boolean => {
    const next = token as Tokens.List;
    if (next.type !== 'list' || next.ordered !== first.ordered || next.start !== first.start) return false;
    for (const [index, item] of next.items.entries()) {
      const said = `${next.loose} ${item.raw}`;
      if (items[index] === said) continue;
      items[index] = said;
      const made = sanitised(markdown.parser([{ ...next, items: [item] }])).querySelector('li') ?? make('li');
      const known = list.children[index];
      if (known) known.replaceWith(made);
      else list.append(made);
    }
    for (const extra of [...list.children].slice(next.items.length)) extra.remove();
    items.length = next.items.length;
    return true;
  };
  grow(first);
  return { raw: first.raw, element: make('div', { class: 'block' }, list), grow };
}

/** The last fence by itself: any HTML, as a fragment in which nothing runs, loads or looks like a part of the page. */
export function sanitised(html: string): DocumentFragment {
  const fragment = DOMPurify.sanitize(html, SANITISING);
  for (const link of fragment.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
  }
  for (const table of fragment.querySelectorAll('table')) {
    const frame = make('div', { class: 'table-frame', tabindex: '0', role: 'region', 'aria-label': 'Table' });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const pre of fragment.querySelectorAll('pre')) {
    const language = /(?:^|\s)language-(\S+)/.exec(pre.firstElementChild?.className ?? '')?.[1] ?? '';
    const mark = make('span');
    pre.replaceWith(mark);
    pre.tabIndex = 0;
    mark.replaceWith(frameCode(pre, language));
  }
  return fragment;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
