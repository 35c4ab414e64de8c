const mesh = process.env.OLLAMESH_URL ?? 'http://127.0.0.1:11435';
export default { rewrites: () => [{ source: '/ollamesh/:path*', destination: `${mesh}/:path*` }] };
