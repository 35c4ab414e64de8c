/** OLLAMA_HOST means here what it means to Ollama's tools; the cases are those of Ollama's own envconfig test, and a few more. */
import { describe, expect, it } from '@jest/globals';
import { parseOllamaHost } from './ollama-host.js';

describe('OLLAMA_HOST', () => {
  it.each([
    ['1.2.3.4', 'http://1.2.3.4:11434'],
    [':1234', 'http://127.0.0.1:1234'],
    ['1.2.3.4:1234', 'http://1.2.3.4:1234'],
    ['example.com', 'http://example.com:11434'],
    ['example.com:1234', 'http://example.com:1234'],
    ['localhost', 'http://localhost:11434'],
    [':0', 'http://127.0.0.1:0'],
    ['example.com:', 'http://example.com:11434'],
    // Port 80 and 443 are the schemes' own, and not written.
    ['http://1.2.3.4', 'http://1.2.3.4'],
    ['https://1.2.3.4', 'https://1.2.3.4'],
    ['https://1.2.3.4:1234', 'https://1.2.3.4:1234'],
    ['http://example.com:11434/', 'http://example.com:11434'],
    ['https://example.com/ollama', 'https://example.com/ollama'],
    ['example.com/ollama', 'http://example.com:11434/ollama'],
    ['ollama.com', 'https://ollama.com'],
    ['0.0.0.0', 'http://127.0.0.1:11434'],
    ['0.0.0.0:8080', 'http://127.0.0.1:8080'],
    ['http://0.0.0.0:11434', 'http://127.0.0.1:11434'],
    ['[::1]', 'http://[::1]:11434'],
    ['::1', 'http://[::1]:11434'],
    ['[::]', 'http://[::1]:11434'],
    ['[::]:1337', 'http://[::1]:1337'],
    ['[0001:002:003:0004::1]:1337', 'http://[1:2:3:4::1]:1337'],
    [' 1.2.3.4 ', 'http://1.2.3.4:11434'],
    ['"1.2.3.4"', 'http://1.2.3.4:11434'],
    ["'1.2.3.4'", 'http://1.2.3.4:11434'],
  ])('address: %s is %s', (text, url) => {
    expect(parseOllamaHost(text)).toEqual({ url });
  });

  it.each([
    ['example.com:99999', 'http://example.com:11434', '"99999"'],
    ['example.com:-1', 'http://example.com:11434', '"-1"'],
    ['https://example.com:abc', 'https://example.com', '"abc"'],
  ])('port: %s falls back to the default and says so', (text, url, named) => {
    const read = parseOllamaHost(text);
    expect(read?.url).toBe(url);
    expect(read?.notice).toContain(named);
  });

  it.each(['ftp://example.com', 'unix:///run/ollama.sock', 'user@example.com', 'a b', 'http://[::', 'example.com?x'])('address: %s is none', (text) => {
    expect(parseOllamaHost(text)).toBeUndefined();
  });
});
