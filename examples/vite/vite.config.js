import { ollamesh } from 'ollamesh/vite';
import { defineConfig } from 'vite';

export default defineConfig({ plugins: [ollamesh()] });
