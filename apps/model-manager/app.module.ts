/** model-manager: owns all talk with the engine about models and inference, and publishes token frames. */
import { Module } from '@nestjs/common';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';
import { ModelManagerController } from './model-manager.controller.js';
import { Producers } from './producers.js';
import { Pulls } from './pulls.js';

@Module({ controllers: [ModelManagerController], providers: [EngineLink, Catalogue, Pulls, Producers] })
export class ModelManagerModule {}
