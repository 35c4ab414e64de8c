/** Which processes descend from one, and on which ports they listen, read from /proc: a witness that our programs can't influence. */
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createConnection } from 'node:net';

/** False where there is no /proc (macOS, Windows): what needs it is skipped there. */
export const HAS_PROC = existsSync('/proc/self/stat');

/** Every descendant, whatever its process group. */
export function descendantsOf(pid: number): number[] {
  const parents = parentsOfAll();
  const found: number[] = [];
  for (let generation = [pid]; generation.length > 0; ) {
    generation = [...parents].filter(([, parent]) => generation.includes(parent)).map(([child]) => child);
    found.push(...generation);
  }
  return found;
}

/** The embedded engine below `pid`, if it has started. */
export function engineBelow(pid: number): number | undefined {
  return descendantsOf(pid).find(isEngine);
}

/** True for a live embedded engine, whoever's. */
export function isEngine(pid: number): boolean {
  return isAlive(pid) && commandOf(pid).includes('embedded-engine/main.js');
}

/** Clock ticks of processor time that `pid` has used so far. */
export function ticksOf(pid: number): number {
  return statOf(pid)?.ticks ?? 0;
}

/** False for one that has ended, a zombie included. */
export function isAlive(pid: number): boolean {
  if (!HAS_PROC) {
    try {
      return process.kill(pid, 0);
    } catch {
      return false; // No such process.
    }
  }
  return !['', 'Z', 'X'].includes(statOf(pid)?.state ?? '');
}

/** `T`: stopped, `S`: sleeping, `R`: running, …; undefined for one that is gone. */
export function stateOf(pid: number): string | undefined {
  return statOf(pid)?.state;
}

/** TCP ports on which any of `pids` listens. */
export function listeningPorts(pids: readonly number[]): number[] {
  const portOf = new Map<string, number>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of (existsSync(table) ? readFileSync(table, 'utf8') : '').split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      if (state === '0A') portOf.set(inode, Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16));
    }
  }
  const ports = new Set<number>();
  for (const pid of pids) {
    for (const inode of socketInodesOf(pid)) {
      const port = portOf.get(inode);
      if (port !== undefined) ports.add(port);
    }
  }
  return [...ports];
}

/** True when nobody accepts connections on that loopback port. */
export function isClosed(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

function parentsOfAll(): Map<number, number> {
  const parents = new Map<number, number>();
  if (!HAS_PROC) return parents;
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat) parents.set(Number(name), stat.parent);
  }
  return parents;
}

function statOf(pid: number): { state: string; parent: number; ticks: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    return undefined; // It ended meanwhile.
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // It ended meanwhile.
  }
}

function socketInodesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode === undefined ? [] : [inode];
    });
  } catch {
    return []; // It ended meanwhile.
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // Closed meanwhile.
  }
}
