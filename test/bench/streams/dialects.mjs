// What viewers of each kind say to open a stream and how the bytes that come back are read: minimal, so that thousands fit in one process.
// A dialect: opening(url, target) → the first bytes; read(viewer, bytes) → bytes taken, calling viewer.text / open / end / say.

const CRLF2 = Buffer.from('\r\n\r\n');
const LF2 = Buffer.from('\n\n');
const LF = 0x0a;

export const DIALECTS = {
  /** Server-Sent Events of the gateway. */
  'mesh-sse': eventStream(({ event, data }, viewer) => {
    if (event === 'snapshot') {
      viewer.old(textOf(JSON.parse(data)));
      viewer.open();
    } else if (event === 'delta') {
      viewer.text(textOf(JSON.parse(data)));
    } else if (event === 'done') {
      viewer.end();
    } else if (event === 'failed') {
      throw new Error(`The stream failed: ${data}`);
    }
  }),
  /** Server-Sent Events of a baseline: one JSON text per token, `null` at the end. Open once its headers are there. */
  'plain-sse': eventStream(({ data }, viewer) => {
    if (data !== '') tokenOrEnd(JSON.parse(data), viewer);
  }, true),
  'mesh-socketio': socketIo((viewer, event, payload) => {
    if (event === 'snapshot') {
      viewer.old(textOf(payload));
      viewer.open();
    } else if (event === 'delta') {
      viewer.text(textOf(payload));
    } else if (event === 'done') {
      viewer.end();
    } else if (event === 'failed') {
      throw new Error(`The stream failed: ${JSON.stringify(payload)}`);
    }
  }, (viewer, streamId) => viewer.say(clientFrame(`42${JSON.stringify(['join', { streamId }])}`))),
  'plain-socketio': socketIo((viewer, _event, payload) => tokenOrEnd(payload, viewer), (viewer) => viewer.open()),
  /** The source itself, as model-manager reads it. */
  engine: {
    opening(url, body) {
      return `POST /api/generate HTTP/1.1\r\nhost: ${url.host}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    },
    read: httpBody((viewer, bytes) => {
      let taken = 0;
      for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, taken)) {
        const { response, done } = JSON.parse(bytes.toString('utf8', taken, end));
        taken = end + 1;
        if (done) viewer.end();
        else viewer.text(response);
      }
      return taken;
    }, true),
  },
};

function textOf({ parts }) {
  return parts.map(({ text }) => text).join('');
}

function tokenOrEnd(token, viewer) {
  if (token === null) viewer.end();
  else viewer.text(token);
}

function eventStream(onEvent, openAtHead = false) {
  return {
    opening: (url, path) => `GET ${path} HTTP/1.1\r\nhost: ${url.host}\r\naccept: text/event-stream\r\n\r\n`,
    read: httpBody((viewer, bytes) => {
      let taken = 0;
      for (let end = bytes.indexOf(LF2); end >= 0; end = bytes.indexOf(LF2, taken)) {
        const message = { event: 'message', data: '' };
        for (const line of bytes.toString('utf8', taken, end).split('\n')) {
          const colon = line.indexOf(': ');
          if (colon > 0) message[line.slice(0, colon)] = line.slice(colon + 2);
        }
        taken = end + 2;
        onEvent(message, viewer);
      }
      return taken;
    }, openAtHead),
  };
}

/** Reads the head of an answer, then hands its body on, out of its chunks where it comes in chunks. */
function httpBody(readBody, openAtHead) {
  return (viewer, bytes) => {
    let taken = 0;
    if (viewer.body === undefined) {
      const end = bytes.indexOf(CRLF2);
      if (end < 0) return 0;
      const head = bytes.toString('latin1', 0, end);
      if (!head.startsWith('HTTP/1.1 200')) throw new Error(head);
      viewer.chunked = /transfer-encoding: chunked/i.test(head);
      viewer.body = Buffer.alloc(0);
      taken = end + 4;
      if (openAtHead) viewer.open();
    }
    if (!viewer.chunked) return taken + readBody(viewer, bytes.subarray(taken));
    for (;;) {
      const end = bytes.indexOf('\r\n', taken);
      const size = end < 0 ? NaN : parseInt(bytes.toString('latin1', taken, end), 16);
      if (end < 0 || bytes.length < end + 2 + size + 2) return taken;
      const chunk = bytes.subarray(end + 2, end + 2 + size);
      taken = end + 2 + size + 2;
      const body = viewer.body.length === 0 ? chunk : Buffer.concat([viewer.body, chunk]);
      const rest = body.subarray(readBody(viewer, body));
      viewer.body = rest.length === 0 ? NOTHING : Buffer.from(rest);
    }
  };
}

const NOTHING = Buffer.alloc(0);

/** Engine.IO 4 over WebSocket, Socket.IO 5 in it (https://socket.io/docs/v4/engine-io-protocol/). */
function socketIo(onEvent, onConnected) {
  return {
    opening: (url) =>
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: ${url.host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n` +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    read(viewer, bytes) {
      let taken = 0;
      if (viewer.body === undefined) {
        const end = bytes.indexOf(CRLF2);
        if (end < 0) return 0;
        if (!bytes.toString('latin1', 0, end).startsWith('HTTP/1.1 101')) throw new Error(bytes.toString('latin1', 0, end));
        viewer.body = NOTHING;
        taken = end + 4;
      }
      for (;;) {
        const frame = serverFrame(bytes, taken);
        if (!frame) return taken;
        taken = frame.end;
        const packet = frame.text;
        if (packet === '2') viewer.say(clientFrame('3'));
        else if (packet.startsWith('0')) viewer.say(clientFrame('40'));
        else if (packet.startsWith('40')) onConnected(viewer, viewer.target);
        else if (packet.startsWith('42')) onEvent(viewer, ...JSON.parse(packet.slice(2)));
        else throw new Error(`An unexpected packet: ${packet}`);
      }
    },
  };
}

/** A masked text frame (RFC 6455) of at most 64 kB; a mask of zeros changes nothing. */
function clientFrame(text) {
  const payload = Buffer.from(text);
  const head = payload.length < 126 ? [0x81, 0x80 | payload.length] : [0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]);
}

function serverFrame(bytes, from) {
  if (bytes.length < from + 2) return undefined;
  if (bytes[from] !== 0x81) throw new Error(`A WebSocket frame that is no whole text: 0x${bytes[from].toString(16)}`);
  let [size, start] = [bytes[from + 1], from + 2];
  if (size === 126) {
    if (bytes.length < from + 4) return undefined;
    [size, start] = [bytes.readUInt16BE(from + 2), from + 4];
  } else if (size === 127) {
    if (bytes.length < from + 10) return undefined;
    [size, start] = [Number(bytes.readBigUInt64BE(from + 2)), from + 10];
  }
  return bytes.length < start + size ? undefined : { text: bytes.toString('utf8', start, start + size), end: start + size };
}
