/** Runs the orchestrator as a process of its own. */
import { runStandalone, startMicroservice } from '#runtime';
import { OrchestratorModule } from './app.module.js';

await runStandalone('orchestrator', (runtime) => startMicroservice(OrchestratorModule, runtime));
