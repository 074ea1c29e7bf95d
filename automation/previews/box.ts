import { spawn } from "node:child_process";
import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import which from "which";
import { processEnvironment } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { filesOfEtc, type Mount, mountArguments, OWN_PROCESSES } from "../processes/bubblewrap.ts";

/** In bytes, for one process and for one file that it writes. */
const MAX_MEMORY = 4 * 1024 ** 3;
const MAX_FILE = 1024 ** 3;
/** In bytes, of everything in its /tmp. */
const MAX_TMP = 512 * 1024 ** 2;

interface BoxOptions {
  readonly command: readonly string[];
  /** In the box. */
  readonly cwd: string;
  readonly mounts: readonly Mount[];
  /** All that it gets. */
  readonly variables: Readonly<Record<string, string>>;
  /** In ms; then everything in it is killed. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
}

/** Files of /etc without secrets, for names, certificates and time zones. Missing ones are left out. */
const ETC = ["hosts", "resolv.conf", "nsswitch.conf", "ssl", "ca-certificates", "localtime"];

/** Name files with the private authorities that the service trusts, which hold no secret. */
const AUTHORITIES = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "GIT_SSL_CAINFO"];

/** The service's private authorities, for a box that connects to others. */
export function trustedAuthorities(): {
  readonly mounts: readonly Mount[];
  readonly variables: Readonly<Record<string, string>>;
} {
  const environment = processEnvironment();
  const files = AUTHORITIES.flatMap((name) => {
    const from = environment[name];
    return from ? [{ name, from, to: `/tmp/authorities/${name}.pem` }] : [];
  });
  return {
    mounts: files.map(({ from, to }) => ({ from, to, optional: true })),
    variables: Object.fromEntries(files.map(({ name, to }) => [name, to])),
  };
}

/**
 * Runs a command with bubblewrap: it sees the named folders, its own processes and the network, and
 * nothing else of this machine. So it cannot read the service's memory, variables, files or
 * tokens. It can write to the writable mounts and to /tmp. Returns the exit code, or null if it was
 * killed, or never started because the signal was aborted. Its output is discarded, because it may hold
 * what the command was given.
 */
export async function runInBox(options: BoxOptions): Promise<number | null> {
  const { command, cwd, mounts, variables, deadline, signal } = options;
  const args = [
    // Each process, and not their sum: see docs/fleet.md.
    `--data=${MAX_MEMORY}`,
    `--fsize=${MAX_FILE}`,
    "--core=0",
    "bwrap",
    ...ISOLATION,
    ...mountArguments(mounts),
    // Both are file systems in memory without a limit of their own. Mounts below them stay as they are.
    ...["--remount-ro", "/dev", "--remount-ro", "/"],
    "--chdir",
    cwd,
    "--",
    ...command,
  ];
  const end = signal
    ? AbortSignal.any([signal, AbortSignal.timeout(deadline)])
    : AbortSignal.timeout(deadline);
  if (end.aborted) return null; // its event has passed, and would never kill the child
  // The variables are not arguments, which every user of the machine can read.
  const child = spawn("prlimit", args, { env: variables, stdio: "ignore" });
  // The kernel then kills everything in the box, because bubblewrap's first process in it dies.
  const kill = () => void child.kill("SIGKILL");
  end.addEventListener("abort", kill);
  try {
    return await new Promise((resolve, reject) => {
      child.on("error", reject).on("exit", resolve);
    });
  } finally {
    end.removeEventListener("abort", kill);
  }
}

const ISOLATION = [
  ...["--unshare-user", "--unshare-all", "--share-net", "--uid", "65534", "--gid", "65534"],
  ...["--cap-drop", "ALL", ...OWN_PROCESSES, "--size", String(MAX_TMP), "--tmpfs", "/tmp"],
  ...["bin", "sbin", "lib", "lib64"].flatMap((name) => ["--symlink", `usr/${name}`, `/${name}`]),
  ...filesOfEtc(ETC),
];

/**
 * Rejects with RDEV_PREREQUISITE unless this machine can run a box. In a pod of Kubernetes it cannot,
 * because the default seccomp profile permits no user namespace.
 */
export async function requireBox(): Promise<void> {
  const code = await runInBox({
    command: ["/usr/bin/true"],
    cwd: "/",
    mounts: [],
    variables: { PATH: searchPath() },
    deadline: 10_000,
  }).catch(() => null);
  if (code === 0) return;
  throw new InfraError(
    "RDEV_PREREQUISITE",
    "The service cannot preview pull requests here: it needs bubblewrap (bwrap), prlimit, and a kernel that " +
      "permits user namespaces. Without RDEV_INFRA_PREVIEWS_FILE it starts; the pipelines can preview.",
  );
}

function searchPath(): string {
  return processEnvironment()["PATH"] ?? "/usr/bin:/bin";
}

/** Programs for a box: Node.js and these, as their folders and the variable PATH that finds them there. */
export async function programsFor(
  ...names: readonly string[]
): Promise<{ readonly mounts: readonly Mount[]; readonly path: string }> {
  const found = await Promise.all(names.map((name) => which(name)));
  const real = await Promise.all([process.execPath, ...found].map((file) => realpath(file)));
  const folders = new Set(real.map(dirname).filter((folder) => !folder.startsWith("/usr/")));
  const mounts = [...folders].map((folder, index) => {
    // A program of a package needs the whole package.
    const [, root = folder, inside = ""] = /^(.*\/node_modules\/[^/]+)(\/bin)$/.exec(folder) ?? [];
    return { from: root, to: `/programs/${index}`, inside };
  });
  const paths = mounts.map(({ to, inside }) => to + inside);
  return { mounts, path: [...paths, "/usr/local/bin", "/usr/bin", "/bin"].join(":") };
}
