/** A page that a user of the hooks might write, for hooks.spec.ts: React's strict mode, one question, its answer, a second view of the same stream, a pull. */
import { StrictMode, createElement as h, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { usePull, useOllama, useStream } from '../../dist/libs/react/index.js';

function Asking({ url }) {
  const ollama = useOllama({ url });
  const [question, setQuestion] = useState('');
  const watched = useStream(ollama.client, ollama.answer?.id);
  const { pull, progress, error } = usePull(ollama.client);
  return h('main', null,
    h('input', { id: 'question', value: question, onChange: ({ target }) => setQuestion(target.value) }),
    h('button', { id: 'ask', onClick: () => void ollama.generate(question).catch(() => undefined) }, 'Ask'),
    h('button', { id: 'ramble', onClick: () => void ollama.stream(globalThis.ramble, { cache: 'off' }).catch(() => undefined) }, 'Ramble'),
    h('button', { id: 'stop', onClick: ollama.stop }, 'Stop'),
    h('button', { id: 'clear', onClick: () => void ollama.clearCache() }, 'Clear'),
    h('button', { id: 'pull', onClick: () => void pull('guide', { policy: 'missing' }) }, 'Pull'),
    h('pre', { id: 'text' }, ollama.text),
    h('pre', { id: 'watched' }, watched.text),
    h('p', { id: 'state' }, `${ollama.state}${ollama.loading ? ' loading' : ''}`),
    h('p', { id: 'models' }, ollama.models?.map(({ name }) => name).join() ?? ''),
    h('p', { id: 'health' }, ollama.health?.status ?? ''),
    h('p', { id: 'error' }, ollama.error?.code ?? ''),
    h('p', { id: 'pulled' }, progress?.status ?? error?.code ?? ''));
}

function Page({ url }) {
  const [isThere, setThere] = useState(true);
  return h('div', null, h('button', { id: 'leave', onClick: () => setThere(false) }, 'Leave'), isThere && h(Asking, { url }));
}

createRoot(document.querySelector('#root')).render(h(StrictMode, null, h(Page, { url: new URLSearchParams(location.search).get('gateway') })));
