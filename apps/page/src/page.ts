/** Puts the page together: one connection for streams, one for the mesh's news, and the two views (chat, and watching by link). */
import './page.css';
import { type Engine, MeshError } from '#client';
import { Benchmarks } from './benchmarks.js';
import { Chat } from './chat.js';
import { Composer } from './composer.js';
import { ConnectionBanner } from './connection-banner.js';
import { keepSystem, keptSystem } from './conversation.js';
import { find, make } from './dom.js';
import { EventFeed } from './event-feed.js';
import { gateway } from './gateway.js';
import { takeKeys } from './key.js';
import { MeshCharts } from './mesh-charts.js';
import { MeshState } from './mesh-state.js';
import { Models } from './models.js';
import { Pulls } from './pulls.js';
import { listenToKeys } from './shortcuts.js';
import { WatchView } from './watch.js';

/** What the built-in model answers well. */
const SUGGESTIONS = ['What is NATS?', 'How do I get started?', 'What happens if I join late?', 'Tell me a short story.'];

const feed = new EventFeed();
const banner: ConnectionBanner = new ConnectionBanner(() => chat.busy);
gateway.subscribe(() => {
  banner.take(gateway.connected);
  feed.takeConnection(gateway.connected);
});

const models: Models = new Models((list) => benchmarks.take(list));
const benchmarks = new Benchmarks(() => models.chosen, () => models.refresh());
const charts = new MeshCharts();
const mesh = new MeshState();
const pulls = new Pulls((model, mine) => {
  if (mine) models.choose(model);
  void models.refresh();
});
const system = find<HTMLTextAreaElement>('system');
const composer = new Composer({ onSend: (question) => chat.ask(question), onStop: () => chat.stop() });
const chat: Chat = new Chat({ chosenModel: () => models.chosen, system: () => system.value.trim(), getModel: (name) => pulls.open(name), onChange: drawChat });
const watch = new WatchView();

function drawChat(): void {
  composer.busy = chat.busy;
  find('welcome').hidden = !chat.empty;
  find('new-chat').hidden = chat.empty || document.body.dataset['view'] === 'watch';
}

/** What each engine was last, and its models. */
const known = new Map<string, string>();
function takeEngine(engine: Engine): void {
  mesh.takeEngine(engine);
  feed.takeEngine(engine);
  const now = `${engine.state} ${JSON.stringify(engine.models)}`;
  if (known.get(engine.node) !== now) void models.refresh(); // An engine that comes or goes brings or takes its models.
  known.set(engine.node, now);
}

let listening = false;
async function listenToMesh(): Promise<void> {
  if (listening) return;
  listening = true;
  void models.refresh();
  try {
    for await (const news of gateway.events()) {
      switch (news.event) {
        case 'engine':
          takeEngine(news.data);
          break;
        case 'hardware':
          mesh.takeHardware(news.data);
          charts.take(news.data);
          feed.takeHardware(news.data);
          break;
        case 'pull':
          pulls.take(news.data);
          feed.takePull(news.data);
          break;
        case 'reconnecting':
          charts.pause();
          break;
        case 'resumed':
          void models.refresh();
          void pulls.catchUp();
          break;
      }
    }
  } catch (thrown) {
    listening = false;
    if (!(thrown instanceof MeshError)) throw thrown; // Not for whoever has no key; who only watches by a link may go on to the chat, and is asked for one then.
  }
}

/** A stream's id where the address is a watch link: `/watch/<id>`, or `/#<id>` as links once were. */
function watched(): string {
  const [, , id = ''] = location.pathname.startsWith('/watch/') ? location.pathname.split('/') : [];
  return id || location.hash.slice(1);
}

let routed: string | undefined;
function route(): void {
  const streamId = watched();
  if (streamId === routed) return; // A changed hash is told twice, as hashchange and popstate.
  routed = streamId;
  const view = streamId === '' ? 'chat' : 'watch';
  document.body.dataset['view'] = view;
  find('chat').hidden = view !== 'chat';
  find('composer-bar').hidden = view !== 'chat';
  find('watch').hidden = view !== 'watch';
  if (view === 'watch') watch.show(streamId);
  else watch.hide();
  drawChat();
  void listenToMesh();
}

find('suggestions').append(
  ...SUGGESTIONS.map((question) => make('li', {}, make('button', { type: 'button', class: 'suggestion', onclick: () => chat.ask(question) }, question))),
);
function startAnew(): void {
  chat.clear();
  composer.focus();
}
find('new-chat').addEventListener('click', startAnew);

system.value = keptSystem();
const markSystem = () => find('system-button').classList.toggle('is-set', system.value.trim() !== '');
system.addEventListener('input', () => {
  keepSystem(system.value);
  markSystem();
});
markSystem();

const inChat = (act: () => void) => () => {
  if (document.body.dataset['view'] === 'chat') act();
};
listenToKeys(
  {
    '/': inChat(() => composer.focus()),
    n: inChat(startAnew),
    r: inChat(() => chat.again()),
    m: inChat(() => models.focus()),
    g: inChat(() => pulls.open()),
    s: inChat(() => find('system-box').showPopover()),
    e: () => find('mesh-box').showPopover(),
    '?': () => find('keys-box').showPopover(),
  },
  () => chat.stop(),
);
addEventListener('hashchange', route);
// A link to "/" from a watched stream changes view, not page: the conversation is still here.
document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a[href="/"]') : undefined;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(undefined, '', '/');
  route();
});
addEventListener('popstate', route);

takeKeys();
route();
chat.restore();
