/** What of this machine's GPUs a container can be given: CDI specs, device nodes with their groups, and SELinux in between. */
import type { ContainerRuntimes } from '#contracts';
import type { FileReader } from './file-reader.js';

const CDI_FOLDERS = ['/etc/cdi', '/var/run/cdi'];
/** Specs read at most in a folder. */
const MAX_SPECS = 32;
const DRI = '/dev/dri';

export async function readContainerDevices(files: FileReader, platform: NodeJS.Platform): Promise<Omit<ContainerRuntimes, 'docker'>> {
  if (platform !== 'linux') return { cdiKinds: [], deviceNodes: [], selinuxEnforcing: false };
  const [kinds, dri, enforce] = await Promise.all([Promise.all(CDI_FOLDERS.map((folder) => cdiKinds(files, folder))), files.list(DRI), files.read('/sys/fs/selinux/enforce')]);
  const paths = ['/dev/kfd', ...dri.filter((name) => /^(?:card|renderD)\d+$/.test(name)).map((name) => `${DRI}/${name}`).toSorted()];
  const nodes = await Promise.all(paths.map(async (path) => ({ path, groupId: await files.group(path) })));
  return {
    cdiKinds: [...new Set(kinds.flat())],
    deviceNodes: nodes.filter((node): node is { path: string; groupId: number } => node.groupId !== undefined),
    selinuxEnforcing: enforce === '1',
  };
}

/** The `kind` of each spec, which JSON and YAML write alike but for quotes. */
async function cdiKinds(files: FileReader, folder: string): Promise<string[]> {
  const specs = (await files.list(folder)).filter((name) => /\.(?:json|ya?ml)$/.test(name)).slice(0, MAX_SPECS);
  const texts = await Promise.all(specs.map((name) => files.read(`${folder}/${name}`)));
  return texts.map((text) => /["']?kind["']?\s*:\s*["']?([a-z0-9.-]+\/[a-z0-9._-]+)["']?/i.exec(text ?? '')?.[1]).filter((kind) => kind !== undefined);
}
