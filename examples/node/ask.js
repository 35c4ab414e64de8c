import { startMesh } from 'ollamesh';
import { createClient } from 'ollamesh/client';

const mesh = await startMesh();
const answer = await createClient({ url: mesh.url }).generate('What is NATS?');
for await (const event of answer) if (event.event !== 'done') process.stdout.write(event.text ?? '');
await mesh.close();
