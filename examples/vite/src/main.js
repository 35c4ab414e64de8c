import { createClient } from 'ollamesh/client';

const client = createClient({ url: import.meta.env.VITE_OLLAMESH_URL });
const answer = await client.generate('What is NATS?');
for await (const _event of answer) document.querySelector('#answer').textContent = answer.content;
