'use client';
import { useOllama } from 'ollamesh/react';

export default function Page() {
  const { generate, text } = useOllama();
  return <p onClick={() => generate('What is NATS?')}>{text || 'Ask'}</p>;
}
