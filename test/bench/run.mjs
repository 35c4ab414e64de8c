// `npm run bench [name …]`: runs the benchmarks one after the other; each prints what it measured beside its baseline.
// `streams` is all of its parts, `streams:few` one of them.
const BENCHES = {
  startup: () => import('./startup.mjs'),
  hook: () => import('./hook.mjs'),
  relay: () => import('./relay.mjs'),
  cache: () => import('./cache.mjs'),
  broker: () => import('./broker.mjs'),
  hardware: () => import('./hardware.mjs'),
  'embedded-engine': () => import('./embedded-engine.mjs'),
  engine: () => import('./engine.mjs'),
  pull: () => import('./pull.mjs'),
  models: () => import('./models.mjs'),
  page: () => import('./page.mjs'),
  doors: () => import('./doors.mjs'),
  'streams:fan-out': () => import('./streams/fan-out.mjs'),
  'streams:few': () => import('./streams/few.mjs'),
  'streams:many': () => import('./streams/many.mjs'),
  'streams:parallel': () => import('./streams/parallel.mjs'),
  'streams:late-join': () => import('./streams/late-join.mjs'),
  'streams:slow': () => import('./streams/slow.mjs'),
  'streams:growth': () => import('./streams/growth.mjs'),
};

const asked = process.argv.slice(2).flatMap((name) => {
  const parts = Object.keys(BENCHES).filter((part) => part.startsWith(`${name}:`));
  return parts.length > 0 ? parts : [name];
});
const unknown = asked.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`No benchmark is called ${unknown.join(', ')}. There are: ${Object.keys(BENCHES).join(', ')}.`);
  process.exit(2);
}
for (const name of asked.length > 0 ? asked : Object.keys(BENCHES)) {
  console.log(`\n# ${name}`);
  const { run } = await BENCHES[name]();
  await run();
}
