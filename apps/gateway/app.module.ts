/** gateway: the only door for users. Relays streams to viewers; each door only translates. */
import { Module } from '@nestjs/common';
import { type Config, RoutingTable, environment } from '#config';
import { CONFIG } from '#runtime';
import { KnownAnswers } from './cache/known-answers.js';
import { ModelDigests } from './cache/model-digests.js';
import { ResponseCache } from './cache/response-cache.js';
import { AiSdkController } from './doors/ai-sdk/ai-sdk.controller.js';
import { Chats } from './doors/ai-sdk/chats.js';
import { DoorStreams } from './doors/door-streams.js';
import { Embeddings } from './doors/embeddings.js';
import { MeshModels } from './doors/mesh-models.js';
import { EnginePassage } from './doors/ollama/engine-passage.js';
import { OllamaElsewhereController, OllamaManagementController } from './doors/ollama/management.controller.js';
import { OllamaController } from './doors/ollama/ollama.controller.js';
import { OpenAiController, OpenAiElsewhereController } from './doors/openai/openai.controller.js';
import { CacheController } from './doors/rest/cache.controller.js';
import { MeshStateController } from './doors/rest/mesh-state.controller.js';
import { MetricsController } from './doors/rest/metrics.controller.js';
import { ModelsController } from './doors/rest/models.controller.js';
import { PageController } from './doors/rest/page.controller.js';
import { ProvidersController } from './doors/rest/providers.controller.js';
import { ServicesController } from './doors/rest/services.controller.js';
import { SessionsController } from './doors/rest/sessions.controller.js';
import { StreamsController } from './doors/rest/streams.controller.js';
import { UsageController } from './doors/rest/usage.controller.js';
import { SocketIoDoor } from './doors/socketio/socketio-door.js';
import { SocketIoPulls } from './doors/socketio/socketio-pulls.js';
import { GUARD_PROVIDERS } from './guard/providers.js';
import { Intake } from './intake.js';
import { MeshView } from './mesh-view.js';
import { MeshController } from './mesh.controller.js';
import { ModelChooser } from './model-chooser.js';
import { ModelsOfNodes } from './models-of-nodes.js';
import { Generations } from './observe/generations.js';
import { HttpObserver } from './observe/http-observer.js';
import { MeshMetrics } from './observe/mesh-metrics.js';
import { RelayMetrics } from './observe/relay-metrics.js';
import { UsageMetrics } from './observe/usage-metrics.js';
import { Relays } from './relay/relays.js';
import { SessionAnswers } from './sessions/session-answers.js';
import { Sessions } from './sessions/sessions.js';
import { STORAGE_PROVIDERS } from './storage.js';
import { Usage } from './usage.js';

const ROUTING = { provide: RoutingTable, inject: [CONFIG], useFactory: (config: Config) => new RoutingTable(config, environment()['NODE_ENV']) };

@Module({
  controllers: [
    OpenAiController, OpenAiElsewhereController,
    OllamaController, OllamaManagementController, OllamaElsewhereController,
    AiSdkController,
    MeshController, StreamsController, SessionsController, ModelsController, CacheController, ServicesController, MeshStateController, MetricsController, PageController,
    UsageController, ProvidersController,
  ],
  providers: [
    ...STORAGE_PROVIDERS, ...GUARD_PROVIDERS, MeshView, Relays, Sessions, SessionAnswers, SocketIoDoor, SocketIoPulls,
    Intake, ResponseCache, ModelDigests, KnownAnswers, HttpObserver, Generations, RelayMetrics, MeshMetrics, UsageMetrics,
    DoorStreams, Embeddings, EnginePassage, MeshModels, Chats, Usage, ModelsOfNodes, ModelChooser, ROUTING,
  ],
})
export class GatewayModule {}
