/** Makes page elements. Text always goes in as text; markup comes from markdown.ts alone, sanitised. */

type Value = string | number | boolean | undefined | EventListener | (() => void);

/** @param properties `on…` adds a listener, the rest are attributes; undefined and false are left out */
export function make<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, properties: Record<string, Value> = {}, ...children: (Node | string)[]): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children);
  return element;
}

/** The element with this id; index.html and the modules go together, so a missing one is a mistake worth a clear word. */
export function find<Element extends HTMLElement = HTMLElement>(id: string): Element {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element #${id}.`);
  return element as Element;
}

/** A drawing from the sheet in index.html. */
export function icon(name: string): SVGElement {
  return svg('svg', { class: 'icon', 'aria-hidden': 'true' }, svg('use', { href: `#icon-${name}` }));
}

export function svg<Tag extends keyof SVGElementTagNameMap>(tag: Tag, attributes: Record<string, string | number>, ...children: Node[]): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Says `text` to screen readers, once; the answer itself is not read out token by token. */
export function announce(text: string): void {
  find('announcer').textContent = text;
}
