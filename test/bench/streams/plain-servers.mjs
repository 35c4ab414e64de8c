/**
 * What people write without the mesh, one of each kind per process: every token goes to every client as it comes; and the least that
 * Node can do, `floor`: tokens gathered for as long as the median latency allows, and one bare write to each connection.
 *   node plain-servers.mjs sse|socketio|floor <source's URL>       POST /start with the source's request begins the answer
 */
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { answerOf } from './source-reader.mjs';

const [kind, source] = process.argv.slice(2);
const GATHER_MS = 57;
const clients = new Set();
let gathered = '';
let gathering;
let io;

const server = createServer(async (request, response) => {
  if (request.method === 'POST') {
    const body = Buffer.concat(await request.toArray()).toString();
    response.end();
    await answerOf(source, body, { sse: writeToAll, floor: gather, socketio: emitToRoom }[kind]);
    return;
  }
  response.useChunkedEncodingByDefault = kind === 'sse';
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.flushHeaders();
  clients.add(kind === 'sse' ? response : response.socket);
  response.on('close', () => clients.delete(response));
});

function writeToAll(token) {
  const event = `data: ${JSON.stringify(token)}\n\n`;
  for (const client of clients) client.write(event);
}

function gather(token) {
  if (token !== null) gathered += token;
  if (token !== null) gathering ??= setTimeout(writeGathered, GATHER_MS);
  else writeGathered('data: null\n\n');
}

function writeGathered(after = '') {
  clearTimeout(gathering);
  gathering = undefined;
  const bytes = Buffer.from(`data: ${JSON.stringify(gathered)}\n\n${after}`);
  gathered = '';
  for (const socket of clients) socket.write(bytes);
}

function emitToRoom(token) {
  io.to('stream').emit('token', token);
}

if (kind === 'socketio') {
  io = new Server(server, { serveClient: false });
  io.on('connection', (socket) => socket.join('stream'));
}
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));
process.on('disconnect', () => process.exit());
