/** Keeps the end of a growing answer in view, as long as the reader is there; who scrolls up is left alone. */

/** How far from the end still counts as being there, in pixels. */
const NEAR = 90;

let following = true;

const scroller = () => document.scrollingElement ?? document.documentElement;

addEventListener(
  'scroll',
  () => {
    const { scrollHeight, scrollTop, clientHeight } = scroller();
    following = scrollHeight - scrollTop - clientHeight < NEAR;
  },
  { passive: true },
);

export function followEnd(): void {
  if (following) scroller().scrollTop = scroller().scrollHeight;
}

/** For the reader's own doing, such as a new question. */
export function goToEnd(): void {
  following = true;
  followEnd();
}
