/** A machine that joins over TLS, where the NATS server wants certificates of both sides and a password. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../support/free-port.js';
import { ask, readSse } from '../support/http-client.js';
import { startLone, urlOf } from '../support/lone-apps.js';
import { startMeshNode } from '../support/mesh-node.js';
import { temporaryFolder } from '../support/mesh-process.js';
import { CLI, type Program, runNode } from '../support/program.js';
import { textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const NATS_SERVER = '/usr/sbin/nats-server';
const missing = [existsSync(NATS_SERVER) ? undefined : NATS_SERVER, existsSync('/usr/bin/openssl') ? undefined : 'openssl'].filter((program) => program !== undefined);

(missing.length === 0 ? describe : describe.skip)(`a node over TLS${missing.length === 0 ? '' : ` (skipped: ${missing.join(' and ')} is not installed)`}`, () => {
  let folder: string;
  let url: string;
  let stopServer: () => Promise<void>;
  let gateway: Program;
  let node: Program;
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });

  /** A key with a certificate that our own authority vouches for. */
  async function certificate(name: string, usage: string): Promise<void> {
    await writeFile(file(`${name}.ext`), `subjectAltName=IP:127.0.0.1\nextendedKeyUsage=${usage}\n`);
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`), '-subj', `/CN=${name}`);
    openssl('x509', '-req', '-in', file(`${name}.csr`), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '1', '-extfile', file(`${name}.ext`), '-out', file(`${name}.pem`));
  }

  const access = () => ({ OLLAMESH_BUS_USER: 'mesh', OLLAMESH_BUS_PASSWORD: 'not to be told', OLLAMESH_BUS_TLS_CA_FILE: file('ca.pem'), OLLAMESH_BUS_TLS_CERT_FILE: file('client.pem'), OLLAMESH_BUS_TLS_KEY_FILE: file('client.key') });
  beforeAll(async () => {
    folder = await temporaryFolder();
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-keyout', file('ca.key'), '-out', file('ca.pem'), '-subj', '/CN=authority of this test');
    await certificate('server', 'serverAuth');
    await certificate('client', 'clientAuth');
    const port = await freePort();
    await writeFile(file('nats.conf'), `host: 127.0.0.1\nport: ${port}\ntls { cert_file: "${file('server.pem')}", key_file: "${file('server.key')}", ca_file: "${file('ca.pem')}", verify: true }\nauthorization { user: mesh, password: "not to be told" }\n`);
    const server = spawn(NATS_SERVER, ['-c', file('nats.conf')], { stdio: 'ignore' });
    const gone = new Promise<void>((resolve) => server.once('exit', () => resolve()));
    stopServer = () => (server.kill('SIGKILL'), gone);
    url = `tls://127.0.0.1:${port}`;
    gateway = await startLone('gateway', { natsUrl: url, dataDir: folder, env: { OLLAMESH_NODE: 'front', ...access() } });
    const flags = ['--user', 'mesh', '--ca', file('ca.pem'), '--cert', file('client.pem'), '--key', file('client.key'), '--engine', 'embedded'];
    node = await startMeshNode({ name: 'gpu7', natsUrl: url, dataDir: folder, args: flags, env: { OLLAMESH_BUS_PASSWORD: 'not to be told' } });
  }, 90_000);
  afterAll(async () => {
    await Promise.all([gateway.end('SIGTERM'), node.end('SIGINT')]);
    await stopServer();
    await rm(folder, { recursive: true, force: true });
  });

  it('joined: a gateway elsewhere answers with its models', async () => {
    await until('the gateway knows the node', async () => (await ask(`${urlOf(gateway)}/ready`)).status === 200);
    expect((await ask(`${urlOf(gateway)}/models`)).json()).toMatchObject({ models: [{ node: 'gpu7', name: 'guide:latest' }] });
    expect(textOf(await readSse(`${urlOf(gateway)}/streams`, { body: { prompt: 'What is NATS?' } }))).not.toBe('');
    expect(node.stdout).toContain(`joined    the mesh at ${url} as "gpu7"`);
    expect(`${node.stdout}${node.stderr}${gateway.stdout}${gateway.stderr}`).not.toContain('not to be told');
  }, 60_000);

  it.each<[string, string[], Record<string, string>]>([
    ['a wrong password', ['--user', 'mesh', '--ca', 'ca.pem', '--cert', 'client.pem', '--key', 'client.key'], { OLLAMESH_BUS_PASSWORD: 'a guess' }],
    ['no certificate of its own', ['--user', 'mesh', '--ca', 'ca.pem'], { OLLAMESH_BUS_PASSWORD: 'not to be told' }],
    ['a server that nobody vouches for', ['--user', 'mesh', '--cert', 'client.pem', '--key', 'client.key'], { OLLAMESH_BUS_PASSWORD: 'not to be told' }],
  ])('refused: %s is told, without the password', async (_what, flags, env) => {
    const args = flags.map((flag) => (flag.includes('.') ? file(flag) : flag));
    const program = runNode([CLI, 'node', '--nats', url, '--node', 'intruder', ...args], { env: { OLLAMESH_DATA_DIR: folder, ...env } });
    expect(await program.exited).toMatchObject({ code: 1 });
    expect(program.stderr).toContain(`The bus at ${url} can't be used`);
    expect(program.stderr).not.toContain(env['OLLAMESH_BUS_PASSWORD']);
  }, 60_000);
});
