/** Puts the page together: one connection for streams, one for the mesh's news, and the two views (chat, and watching by link). */
import './page.css';
import type { Engine, Hardware, PullProgress } from '#contracts';
import { Benchmarks } from './benchmarks.js';
import { Chat } from './chat.js';
import { Composer } from './composer.js';
import { ConnectionBanner } from './connection-banner.js';
import { keepSystem, keptSystem } from './conversation.js';
import { find, make } from './dom.js';
import { EventFeed } from './event-feed.js';
import { followEvents } from './event-stream.js';
import { takeKeys } from './key.js';
import { MeshCharts } from './mesh-charts.js';
import { MeshState } from './mesh-state.js';
import { Models } from './models.js';
import { Pulls } from './pulls.js';
import { listenToKeys } from './shortcuts.js';
import { Streams } from './streams.js';
import { WatchView } from './watch.js';

/** What the built-in model answers well. */
const SUGGESTIONS = ['What is NATS?', 'How do I get started?', 'What happens if I join late?', 'Tell me a short story.'];

const feed = new EventFeed();
const banner: ConnectionBanner = new ConnectionBanner(() => chat.busy);
const streams = new Streams((connected) => {
  banner.take(connected);
  feed.takeConnection(connected);
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
const chat: Chat = new Chat(streams, { chosenModel: () => models.chosen, system: () => system.value.trim(), getModel: (name) => pulls.open(name), onChange: drawChat });
const watch = new WatchView(streams);

function drawChat(): void {
  composer.busy = chat.busy;
  find('welcome').hidden = !chat.empty;
  find('new-chat').hidden = chat.empty || document.body.dataset['view'] === 'watch';
}

function listenToMesh(): void {
  const known = new Map<string, string>();
  const takers: Record<string, (data: never) => void> = {
    engine: (engine: Engine) => {
      mesh.takeEngine(engine);
      feed.takeEngine(engine);
      const now = `${engine.state} ${JSON.stringify(engine.models)}`;
      if (known.get(engine.node) !== now) void models.refresh(); // An engine that comes or goes brings or takes its models.
      known.set(engine.node, now);
    },
    hardware: (hardware: Hardware) => {
      mesh.takeHardware(hardware);
      charts.take(hardware);
      feed.takeHardware(hardware);
    },
    pull: (progress: PullProgress) => {
      pulls.take(progress);
      feed.takePull(progress);
    },
  };
  void followEvents(
    '/events',
    (event, data) => takers[event]?.(data as never),
    () => {
      void models.refresh();
      void pulls.catchUp();
    },
  );
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
listenToMesh();
