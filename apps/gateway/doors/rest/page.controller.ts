/** The page at `/` and for watching at `/watch/<id>`: the files that apps/page was built into, compressed as the browser likes. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { MeshError } from '#contracts';
import { packageRoot } from '#package-root';

const PAGE = join(packageRoot(), 'dist/apps/page');
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** A file's name carries a hash of what is in it, so that it never changes. */
const FOR_EVER = 'public, max-age=31536000, immutable';
/** The better one first: browsers name both as welcome. */
const ENCODINGS = [['br', '.br'], ['gzip', '.gz']] as const;

@ApiExcludeController()
@Controller()
export class PageController {
  /** What there is: nothing else can be asked for. */
  readonly #files = new Set(existsSync(PAGE) ? readdirSync(PAGE) : []);

  @Get()
  page(@Req() request: Request, @Res() response: Response): void {
    // Clients of Ollama look here whether it runs; browsers ask for HTML by name.
    response.vary('Accept');
    if (request.get('accept')?.includes('text/html')) this.#document(request, response);
    else response.type('text/plain').send('Ollama is running');
  }

  @Get('watch/:id')
  watch(@Req() request: Request, @Res() response: Response): void {
    this.#document(request, response);
  }

  @Get('page/:file')
  file(@Param('file') name: string, @Req() request: Request, @Res() response: Response): void {
    if (!this.#files.has(name) || name === 'index.html') throw new MeshError('not_found', `The page has no file "${name}".`);
    response.setHeader('cache-control', FOR_EVER);
    this.#send(name, request, response);
  }

  #document(request: Request, response: Response): void {
    if (!this.#files.has('index.html')) throw new MeshError('not_found', 'The page was not built: npm run build makes it.');
    response.setHeader('content-security-policy', CONTENT_SECURITY_POLICY);
    response.setHeader('referrer-policy', 'no-referrer');
    response.setHeader('cache-control', 'no-cache');
    this.#send('index.html', request, response);
  }

  #send(name: string, request: Request, response: Response): void {
    response.setHeader('x-content-type-options', 'nosniff');
    response.vary('Accept-Encoding');
    response.type(name.endsWith('.js') ? 'text/javascript' : name);
    const encoding = ENCODINGS.find(([token, suffix]) => this.#files.has(name + suffix) && request.acceptsEncodings(token));
    if (encoding) response.setHeader('content-encoding', encoding[0]);
    response.sendFile(name + (encoding?.[1] ?? ''), { root: PAGE, dotfiles: 'allow', cacheControl: false });
  }
}
