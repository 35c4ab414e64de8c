/** Starts the gateway: its module on HTTP and the bus, Socket.IO on the same port, guards in front of everything. */
import 'reflect-metadata';
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { Server } from 'socket.io';
import type { z } from 'zod';
import { BusTransport, type Storage } from '#bus';
import { MeshError, describeIssues } from '#contracts';
import { type RunningApp, type Runtime, once, withRuntime } from '#runtime';
import { GatewayModule } from './app.module.js';
import { readBodies } from './doors/bodies.js';
import { SocketIoDoor } from './doors/socketio/socketio-door.js';
import { SocketIoPulls } from './doors/socketio/socketio-pulls.js';
import type { MeshServer } from './doors/socketio/socketio-viewer.js';
import { Admission } from './guard/admission.js';
import { cameOf, httpGuard } from './guard/http-guard.js';
import { loggedPath } from './guard/logged-path.js';
import { OpenConnections } from './guard/open-connections.js';
import { SecurityLog } from './guard/security-log.js';
import { handshakeGuard, isAllowed, siteGuard } from './guard/site-guard.js';
import { guardSockets, mayConnect } from './guard/socket-guard.js';
import { HttpErrorFilter } from './http-errors.js';
import { listenOnFreePort } from './listen.js';
import { HttpObserver } from './observe/http-observer.js';
import { Relays } from './relay/relays.js';
import { Sessions } from './sessions/sessions.js';
import { STORAGE } from './storage.js';

/** A viewer sends small requests only. */
const MAX_SOCKET_MESSAGE_BYTES = 1024 * 1024;

/** How long requests in flight may take to finish when the gateway stops. */
const FORCE_CLOSE_MS = 1_500;

export interface RunningGateway extends RunningApp {
  /** Where it listens, for a browser on this machine. */
  readonly url: string;
  readonly port: number;
  readonly keeps: string;
}

export async function startGateway(runtime: Runtime, version: string): Promise<RunningGateway> {
  const { config, logger, bus } = runtime;
  const app = await NestFactory.create<NestExpressApplication>(withRuntime(GatewayModule, runtime), {
    bodyParser: false,
    logger,
    abortOnError: false,
  });
  app.disable('x-powered-by');
  const [admission, connections, security] = [app.get(Admission), app.get(OpenConnections), app.get(SecurityLog)];
  app.use(app.get(HttpObserver).handler);
  app.use(siteGuard(config.gateway, (request) => reportForeign(request, admission, security)));
  app.use((_request: unknown, response: { setHeader(name: string, value: string): void }, next: () => void) => {
    response.setHeader('x-ollamesh', version); // Marks ours, so that no gateway takes another for an engine.
    next();
  });
  app.use(httpGuard(admission, connections, security));
  readBodies(app, config.gateway.limits.bodyBytes);
  app.useGlobalPipes(new StandardSchemaValidationPipe({ exceptionFactory: invalidRequest }));
  app.useGlobalFilters(new HttpErrorFilter(logger, config.gateway.limits.bodyBytes, security));
  documentApi(app, version);
  app.connectMicroservice<MicroserviceOptions>({ strategy: new BusTransport(bus) });
  await app.startAllMicroservices();
  await app.init();

  const server: HttpServer = app.getHttpServer();
  const io: MeshServer = new Server(server, {
    serveClient: false,
    maxHttpBufferSize: MAX_SOCKET_MESSAGE_BYTES,
    allowRequest: (request, decide) => decide(null, isAllowed(request, config.gateway) && mayConnect(request, admission)),
    cors: (request, decide) => decide(null, { origin: isAllowed(request as IncomingMessage, config.gateway) }),
  });
  io.engine.use(handshakeGuard(config.gateway));
  guardSockets(io, admission, connections, security);
  app.get(SocketIoDoor).open(io);
  app.get(SocketIoPulls).open(io);
  const port = await listenOnFreePort(server, config.gateway.host, config.gateway.port);
  const close = async () => {
    // Whoever is cut comes back at once: nobody may be answered here any more by then. Socket.IO clients reconnect by
    // themselves when their transport closes, but not when they are told to disconnect.
    server.close();
    await app.get(Sessions).sayFarewell();
    await app.get(Relays).sayFarewell();
    io.engine.close();
    const force = setTimeout(() => server.closeAllConnections(), FORCE_CLOSE_MS);
    await app.close();
    clearTimeout(force);
  };
  return { context: app, url: `http://${browsable(config.gateway.host)}:${port}`, port, keeps: app.get<Storage>(STORAGE).reason, close: once(close) };
}

function reportForeign(request: IncomingMessage, admission: Admission, log: SecurityLog): void {
  const { host, origin } = request.headers;
  const address = admission.addressOf(cameOf(request));
  const path = loggedPath(new URL(request.url ?? '/', 'http://gateway').pathname);
  log.report('foreign_site', { caller: `address:${address}`, address, reason: `Host ${host}, Origin ${origin}`, method: request.method ?? '', path });
}

function documentApi(app: NestExpressApplication, version: string): void {
  const outline = new DocumentBuilder().setTitle('ollamesh gateway').setVersion(version).addBearerAuth().build();
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, outline));
}

function invalidRequest(issues: readonly unknown[]): MeshError {
  const zodIssues = issues as readonly z.core.$ZodIssue[];
  return new MeshError('invalid_request', describeIssues(zodIssues, 'request'), {
    details: { issues: zodIssues.map(({ path, message }) => ({ field: (path ?? []).join('.'), reason: message })) },
  });
}

/** An address that a browser on this machine can open. */
function browsable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
