/** Runs model-manager as a process of its own. */
import { runStandalone, startMicroservice } from '#runtime';
import { ModelManagerModule } from './app.module.js';

await runStandalone('model-manager', (runtime) => startMicroservice(ModelManagerModule, runtime));
