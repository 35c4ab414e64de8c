/**
 * What people write without the mesh, one of each kind per process: every token goes to every client as it comes.
 *   node plain-servers.mjs sse|socketio <source's URL>       POST /start with the source's request begins the answer
 */
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { answerOf } from './source-reader.mjs';

const [kind, source] = process.argv.slice(2);
const clients = new Set();
let io;

const server = createServer(async (request, response) => {
  if (request.method === 'POST') {
    const body = Buffer.concat(await request.toArray()).toString();
    response.end();
    await answerOf(source, body, kind === 'sse' ? writeToAll : emitToRoom);
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.flushHeaders();
  clients.add(response);
  response.on('close', () => clients.delete(response));
});

function writeToAll(token) {
  const event = `data: ${JSON.stringify(token)}\n\n`;
  for (const client of clients) client.write(event);
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
