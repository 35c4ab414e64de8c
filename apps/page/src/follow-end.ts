/** Keeps the end of a growing answer in view, as long as the reader is there; who scrolls up is left alone. */

/** How far from the end still counts as being there, in pixels. */
const NEAR = 90;

let following = true;
let lastTop = 0;

const scroller = () => document.scrollingElement ?? document.documentElement;

addEventListener(
  'scroll',
  () => {
    const { scrollHeight, scrollTop, clientHeight } = scroller();
    // Our own scrolling is told of late, when the page may have grown again: only who goes up leaves the end.
    if (scrollHeight - scrollTop - clientHeight < NEAR) following = true;
    else if (scrollTop < lastTop) following = false;
    lastTop = scrollTop;
  },
  { passive: true },
);

function followEnd(): void {
  if (!following) return;
  scroller().scrollTop = scroller().scrollHeight;
  lastTop = scroller().scrollTop;
}

// The answer grows, and what comes into view has its true height only then.
new ResizeObserver(followEnd).observe(document.body);

/** For the reader's own doing, such as a new question. */
export function goToEnd(): void {
  following = true;
  followEnd();
}
