// Draws how things grow, as an SVG that stands alone and reads on a light and a dark page.
const SIZE = { width: 860, height: 330 };
const PLOT = { width: 320, height: 200, top: 70 };
const LEFT = [60, 490];
const COLOURS = { cpuMicros: '#2563eb', p50: '#059669', p99: '#d97706' };
const LEGEND_AT = [60, 340, 490];
const NAMES = { cpuMicros: 'gateway CPU per delivered token, µs', p50: 'latency p50, ms', p99: 'latency p99, ms' };
const DECADES = [0.1, 1, 10, 100, 1_000];

export function drawGrowth({ viewers, streams, rate, streamRate }) {
  const panels = [
    panel(LEFT[0], `SSE viewers of one stream (${rate} tokens/s)`, viewers),
    panel(LEFT[1], `streams with one viewer each (${streamRate} tokens/s)`, streams),
  ];
  const legend = Object.entries(NAMES).map(([key, name], index) =>
    `<g transform="translate(${LEGEND_AT[index]} 22)"><path d="M0 0h22" stroke="${COLOURS[key]}" stroke-width="2.5"/><text x="28" y="4">${name}</text></g>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" font-family="system-ui, sans-serif" font-size="12" role="img">
<title>How the gateway's cost and latency grow with viewers and with streams</title>
<style>text { fill: #1f2937 } .axis { stroke: #9ca3af; stroke-opacity: .5 } @media (prefers-color-scheme: dark) { text { fill: #e5e7eb } }</style>
${[...legend, ...panels].join('\n')}
</svg>
`;
}

/** Both axes are logarithmic. */
function panel(left, title, rows) {
  const counts = rows.map(({ count }) => count);
  const [first, last] = [Math.log10(counts[0]), Math.log10(counts.at(-1))];
  const x = (count) => left + ((Math.log10(count) - first) / (last - first)) * PLOT.width;
  const y = (value) => PLOT.top + PLOT.height * (1 - (Math.log10(Math.max(value, DECADES[0])) + 1) / (DECADES.length - 1));
  const grid = DECADES.map((value) => `<path class="axis" d="M${left} ${y(value)}h${PLOT.width}"/><text x="${left - 8}" y="${y(value) + 4}" text-anchor="end">${value}</text>`);
  const ticks = counts.map((count) => `<text x="${x(count).toFixed(1)}" y="${PLOT.top + PLOT.height + 20}" text-anchor="middle">${count.toLocaleString('en')}</text>`);
  const lines = Object.keys(NAMES).map((key) => {
    const points = rows.map((row) => `${x(row.count).toFixed(1)},${y(row[key]).toFixed(1)}`);
    const dots = points.map((point) => `<circle cx="${point.split(',')[0]}" cy="${point.split(',')[1]}" r="3" fill="${COLOURS[key]}"/>`);
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${COLOURS[key]}" stroke-width="2.5"/>${dots.join('')}`;
  });
  return [`<text x="${left}" y="${PLOT.top - 16}" font-weight="600">${title}</text>`, ...grid, ...ticks, ...lines].join('\n');
}
