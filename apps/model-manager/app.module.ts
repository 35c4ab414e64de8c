/** model-manager: owns all talk with the engine about models and inference, and publishes token frames. */
import { Module } from '@nestjs/common';
import { Catalogue } from './catalogue.js';
import { Embeddings } from './embeddings.js';
import { EngineExchanges } from './engine-exchanges.js';
import { EngineExchangesController } from './engine-exchanges.controller.js';
import { EngineLink } from './engine-link.js';
import { ModelManagerController } from './model-manager.controller.js';
import { Producers } from './producers.js';
import { Pulls } from './pulls.js';

@Module({ controllers: [ModelManagerController, EngineExchangesController], providers: [EngineLink, Catalogue, Pulls, Producers, Embeddings, EngineExchanges] })
export class ModelManagerModule {}
