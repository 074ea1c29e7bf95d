import { existsSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { findCommand } from "../process.ts";
import { cacheFolder } from "../tools.ts";
import { cgroupVersion, missingControllers } from "./cgroups.ts";

/** In the box, the node's own folders are in their place. */
const HIDDEN = ["/var/lib", "/var/log", "/run"];

/** What this machine lacks to run a real node, except packages; one sentence each. */
export async function missingForNode(): Promise<string[]> {
  if (process.platform !== "linux") {
    return [`Linux, because a node needs its namespaces: this is ${process.platform}`];
  }
  const isRoot = process.getuid?.() === 0;
  return [
    ...(isRoot ? [] : ["root, because only root may make a node's namespaces and mounts"]),
    ...cgroups(),
    ...(existsSync("/dev/kmsg") ? [] : ["/dev/kmsg, from which the kubelet reads kernel messages"]),
    ...(await hiddenFolders()),
    ...(isRoot ? await kernelFeatures() : []),
  ];
}

function cgroups(): string[] {
  const version = cgroupVersion();
  if (version === undefined) return ["cgroups: no hierarchy is mounted on /sys/fs/cgroup"];
  const missing = missingControllers();
  if (missing.length === 0) return [];
  return [`the controllers ${missing.join(", ")} of cgroup version ${version}`];
}

async function hiddenFolders(): Promise<string[]> {
  const folders = {
    "the folder of this checkout": join(import.meta.dirname, "../.."),
    "the cache folder (XDG_CACHE_HOME)": cacheFolder(),
    "the folder for temporary files (TMPDIR)": tmpdir(),
  };
  const found = await Promise.all(
    Object.entries(folders).map(async ([what, path]) => {
      const real = await realpath(path).catch(() => path);
      const hidden = HIDDEN.find((folder) => `${real}/`.startsWith(`${folder}/`));
      return hidden ? [`${what} outside ${hidden}, which the node replaces: it is ${real}`] : [];
    }),
  );
  return found.flat();
}

/** A script that makes a rule like those for NetworkPolicies; undefined without the packages for it. */
async function addressSetRule(): Promise<string | undefined> {
  const [ipset, iptables] = await Promise.all(
    ["ipset", "iptables"].map((name) => findCommand(name)),
  );
  if (!ipset || !iptables) return undefined;
  return `${ipset} create a hash:net && ${iptables} -A FORWARD -m set --match-set a src -j REJECT`;
}

/** Tries what a node does, in namespaces that end with each try. */
async function kernelFeatures(): Promise<string[]> {
  const unshare = await findCommand("unshare");
  if (!unshare) return [];
  // Not every file system can be the upper layer of an overlay; the node's layers will be here, too.
  const folder = await mkdtemp(join(tmpdir(), "rdev-node-check-"));
  try {
    for (const name of ["lower", "upper", "work", "merged"]) await mkdir(join(folder, name));
    const spaces = ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork"];
    const fails = async (command: string, args: readonly string[]) => {
      const program = await findCommand(command);
      // Packages that are not installed yet are named elsewhere.
      if (!program) return undefined;
      const { failed, stderr } = await execa(unshare, [...spaces, program, ...args], {
        cwd: folder,
        reject: false,
      });
      return failed ? stderr.trim() : undefined;
    };
    const namespaces = await fails("true", []);
    if (namespaces !== undefined) {
      return [`the right to make namespaces (CAP_SYS_ADMIN): ${namespaces}`];
    }
    const layers = "lowerdir=lower,upperdir=upper,workdir=work";
    const tries = {
      [`overlayfs in ${tmpdir()}`]: fails("mount", [
        ...["-t", "overlay", "-o", layers, "overlay", "merged"],
      ]),
      "virtual interfaces (veth)": fails("ip", [
        ...["link", "add", "rdev-a", "type", "veth", "peer", "name", "rdev-b"],
      ]),
      "nftables in the kernel (nf_tables, nft_nat, nft_masq)": fails("nft", [
        "table ip rdev { chain c { type nat hook postrouting priority srcnat; masquerade; }; }",
      ]),
      "rules for sets of addresses in the kernel (ip_set, xt_set, nft_compat)": fails("sh", [
        "-c",
        (await addressSetRule()) ?? "true",
      ]),
    };
    const results = await Promise.all(
      Object.entries(tries).map(async ([what, attempt]) => {
        const error = await attempt;
        return error === undefined ? [] : [`${what}: ${error}`];
      }),
    );
    return results.flat();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
