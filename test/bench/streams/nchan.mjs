// nginx with nchan, its own configuration in a folder of its own; each token is published once, over one kept connection.
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { temporaryFolder } from '../mesh.mjs';
import { startProgram } from './processes.mjs';
import { answerOf } from './source-reader.mjs';

const NGINX = '/usr/sbin/nginx';
const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so';
const START_TRIES = 50;

export const hasNchan = () => existsSync(NGINX) && existsSync(MODULE);
export const NO_NCHAN = 'not installed (apt-get install nginx-light libnginx-mod-nchan): no baseline';

export async function startNchan() {
  const { folder, remove } = await temporaryFolder();
  const port = await freePort();
  await mkdir(join(folder, 'temp'));
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, port));
  const program = await startProgram(NGINX, ['-c', join(folder, 'nginx.conf'), '-p', folder, '-e', join(folder, 'error.log')]);
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; !(await fetch(url).catch(() => undefined)); tries++) {
    if (tries === START_TRIES) throw new Error(`nginx does not answer: ${await readFile(join(folder, 'error.log'), 'utf8')}`);
    await sleep(100);
  }
  const workers = (await readFile(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8')).trim().split(' ').map(Number);
  const stop = async () => {
    await program.stop();
    await remove();
  };
  /** Publishes the source's answer to `body`, token by token. */
  const publish = async (channel, source, body) => {
    const pool = new Pool(url, { connections: 1 });
    await answerOf(source, body, async (token) => {
      const { statusCode, body: answer } = await pool.request({ path: `/publish/${channel}`, method: 'POST', body: JSON.stringify(token) });
      await answer.dump();
      if (statusCode >= 300) throw new Error(`nchan answered ${statusCode}.`);
    });
    await pool.close();
  };
  return { url, pids: [program.pid, ...workers], publish, stop };
}

const configuration = (folder, port) => `
load_module ${MODULE};
${process.getuid() === 0 ? 'user root;' : ''}
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 16000; }
http {
  access_log off;
  client_body_temp_path ${folder}/temp; proxy_temp_path ${folder}/temp; fastcgi_temp_path ${folder}/temp;
  uwsgi_temp_path ${folder}/temp; scgi_temp_path ${folder}/temp;
  nchan_shared_memory_size 256M;
  keepalive_requests 1000000;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    tcp_nodelay on;
    location / { return 204; }
    location ~ ^/publish/(\\w+)$ {
      nchan_publisher; nchan_channel_id $1;
      nchan_message_buffer_length 25000; nchan_message_timeout 10m;
    }
    location ~ ^/watch/(\\w+)$ { nchan_subscriber eventsource; nchan_channel_id $1; nchan_subscriber_first_message oldest; }
  }
}
`;

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
