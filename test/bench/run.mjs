// `npm run bench [name …]`: runs the benchmarks one after the other; each prints what it measured beside its baseline.
const BENCHES = {
  startup: () => import('./startup.mjs'),
  relay: () => import('./relay.mjs'),
  broker: () => import('./broker.mjs'),
  'embedded-engine': () => import('./embedded-engine.mjs'),
  pull: () => import('./pull.mjs'),
};

const asked = process.argv.slice(2);
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
