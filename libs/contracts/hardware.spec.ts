/** The engine image that a candidate wants. */
import { expect, it } from '@jest/globals';
import { imageOf } from './hardware.js';

it.each([
  ['ollama/ollama', '', 'ollama/ollama'],
  ['ollama/ollama', 'rocm', 'ollama/ollama:rocm'],
  ['ollama/ollama:latest', 'rocm', 'ollama/ollama:rocm'],
  ['ollama/ollama:0.9.0', 'rocm', 'ollama/ollama:0.9.0-rocm'],
  ['ollama/ollama:0.9.0-rocm', 'rocm', 'ollama/ollama:0.9.0-rocm'],
  ['registry:5000/ollama', 'rocm', 'registry:5000/ollama:rocm'],
  ['ollama/ollama@sha256:0123', 'rocm', 'ollama/ollama@sha256:0123'],
] as const)('image %s for %j: %s', (image, imageVariant, expected) => {
  expect(imageOf(image, { imageVariant })).toBe(expected);
});
