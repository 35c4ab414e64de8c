/** Runs gpu-agent as a process of its own. */
import { runStandalone, startMicroservice } from '#runtime';
import { GpuAgentModule } from './app.module.js';

await runStandalone('gpu-agent', (runtime) => startMicroservice(GpuAgentModule, runtime));
