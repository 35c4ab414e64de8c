/** The page at `/`: static files, with the two libraries it uses served from their own packages. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { MeshError } from '#contracts';
import { packageRoot } from '#package-root';

const require = createRequire(import.meta.url);
const PAGE = join(packageRoot(), 'apps/gateway/page');

/** Literal lists: nothing else can be asked for. */
const OWN_FILES = [
  'page.js', 'page.css', 'icon.svg',
  'answer-view.js', 'api.js', 'chat.js', 'clipboard.js', 'composer.js', 'dom.js', 'event-stream.js', 'follow-end.js', 'format.js', 'key.js', 'markdown.js',
  'mesh-state.js', 'models.js', 'pulls.js', 'share.js', 'stream-state.js', 'streams.js', 'watch.js',
];
const FILES: Record<string, () => string> = {
  ...Object.fromEntries(OWN_FILES.map((name) => [name, () => join(PAGE, name)])),
  'marked.js': () => fileURLToPath(import.meta.resolve('marked')),
  'dompurify.js': () => fileURLToPath(import.meta.resolve('dompurify')),
  'socket.io.js': () => join(dirname(require.resolve('socket.io-client/package.json')), 'dist/socket.io.esm.min.js'),
};
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

@ApiExcludeController()
@Controller()
export class PageController {
  @Get()
  page(@Req() request: Request, @Res() response: Response): void {
    // Clients of Ollama look here whether it runs; browsers ask for HTML by name.
    response.vary('Accept');
    if (!request.get('accept')?.includes('text/html')) {
      response.type('text/plain').send('Ollama is running');
      return;
    }
    response.setHeader('content-security-policy', CONTENT_SECURITY_POLICY);
    response.setHeader('x-content-type-options', 'nosniff');
    response.setHeader('referrer-policy', 'no-referrer');
    response.sendFile(join(PAGE, 'index.html'));
  }

  @Get('page/:file')
  file(@Param('file') name: string, @Res() response: Response): void {
    const locate = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
    if (!locate) throw new MeshError('not_found', `The page has no file "${name}".`);
    response.setHeader('x-content-type-options', 'nosniff');
    response.type(name.endsWith('.js') ? 'text/javascript' : name);
    response.sendFile(locate(), { dotfiles: 'allow' });
  }
}
