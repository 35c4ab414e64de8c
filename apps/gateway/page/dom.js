/** Makes page elements. Text always goes in as text; markup comes from markdown.js alone, sanitised. */

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] `on…` adds a listener, the rest are attributes; undefined and false are left out
 * @param {...(Node | string)} children
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

/** The element with this id; index.html and the modules go together, so a missing one is a mistake worth a clear word. */
export function find(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element #${id}.`);
  return element;
}

/** A drawing from the sheet in index.html. */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Says `text` to screen readers, once; the answer itself is not read out token by token. */
export function announce(text) {
  find('announcer').textContent = text;
}
