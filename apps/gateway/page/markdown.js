/**
 * Markdown that a model wrote, as page elements. Three fences: HTML in it is shown as text, what marked makes of the rest goes
 * through DOMPurify with a short list of tags, and the page's content security policy runs no inline script.
 */
import { Marked } from './marked.js';
import DOMPurify from './dompurify.js';
import { copyButton } from './clipboard.js';
import { make } from './dom.js';

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
  RETURN_DOM_FRAGMENT: true,
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

/** A text that grows: only blocks which changed are made anew, so that selections and scroll positions elsewhere survive. */
export class MarkdownView {
  element = make('div', { class: 'prose' });
  #blocks = [];

  /** @param {{whole?: boolean}} [how] `whole` makes every block anew: links may have been defined at the very end */
  render(text, { whole = false } = {}) {
    const tokens = markdown.lexer(text).filter(({ type }) => type !== 'space');
    const blocks = tokens.map((token, index) => {
      const known = this.#blocks[index];
      if (!whole && known?.raw === token.raw) return known;
      const element = make('div', { class: 'block' });
      element.append(sanitised(markdown.parser([token])));
      if (known) known.element.replaceWith(element);
      else this.element.append(element);
      return { raw: token.raw, element };
    });
    for (const { element } of this.#blocks.slice(blocks.length)) element.remove();
    this.#blocks = blocks;
  }
}

/** The last fence by itself: any HTML, as a fragment in which nothing runs, loads or looks like a part of the page. */
export function sanitised(html) {
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
  for (const pre of fragment.querySelectorAll('pre')) frameCode(pre);
  return fragment;
}

function frameCode(pre) {
  const language = /(?:^|\s)language-(\S+)/.exec(pre.firstElementChild?.className ?? '')?.[1] ?? '';
  const frame = make('div', { class: 'code-frame' });
  pre.replaceWith(frame);
  pre.tabIndex = 0;
  frame.append(make('div', { class: 'code-bar' }, make('span', {}, language), copyButton('Copy', () => pre.textContent)), pre);
}

function escape(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
