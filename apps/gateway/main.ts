/** Runs the gateway as a process of its own. */
import { packageVersion, runStandalone } from '#runtime';
import { startGateway } from './start.js';

await runStandalone('gateway', (runtime) => startGateway(runtime, packageVersion()));
