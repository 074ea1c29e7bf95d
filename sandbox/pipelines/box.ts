import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { dirname } from "node:path";
import {
  filesOfEtc,
  type Mount,
  mountArguments,
  OWN_PROCESSES,
} from "../../automation/processes/bubblewrap.ts";

export interface BoxOptions {
  readonly mounts: readonly Mount[];
  readonly workingDirectory: string;
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Default: the user of this process, in a user namespace. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

/** What programs need from /etc: certificates, shared libraries and Debian's alternatives. */
const ETC = [
  ...["resolv.conf", "nsswitch.conf", "host.conf", "services", "protocols", "localtime"],
  ...["ssl", "ca-certificates", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives"],
  "mime.types",
];

/** On most systems these are links into /usr. */
const SYSTEM = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/**
 * The arguments of bubblewrap for one process and its children. They see the system's programs
 * read-only, the mounts, and nothing else of this machine's files and processes; the network is
 * shared. All of them end with bubblewrap, which ends with its parent.
 */
export function boxArguments({ mounts, workingDirectory, command, user }: BoxOptions): string[] {
  return [
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"],
    ...(user ? [] : ["--unshare-user"]),
    ...OWN_PROCESSES,
    ...SYSTEM.flatMap(systemFolder),
    ...foldersAbove(["/etc/ssl", ...mounts.map(({ to }) => to)]),
    ...filesOfEtc(ETC),
    ...mountArguments(mounts),
    ...["--chdir", workingDirectory],
    ...(user ? asUser(user) : []),
    ...command,
  ];
}

/** Bubblewrap itself would make them for its own user only. */
function foldersAbove(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let above = dirname(path); above !== "/"; above = dirname(above)) folders.add(above);
  }
  return [...folders].sort().flatMap((folder) => ["--perms", "0755", "--dir", folder]);
}

function systemFolder(name: string): string[] {
  const path = `/${name}`;
  if (!existsSync(path)) return [];
  return lstatSync(path).isSymbolicLink()
    ? ["--symlink", readlinkSync(path), path]
    : ["--ro-bind", path, path];
}

/** Root changes the user in the box, because bubblewrap itself needs root's rights to make it. */
function asUser({ uid, gid }: { readonly uid: number; readonly gid: number }): string[] {
  return [
    ...["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"].flatMap((name) => ["--cap-add", name]),
    ...["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"],
    ...["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"],
  ];
}
