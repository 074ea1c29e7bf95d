import { existsSync } from "node:fs";
import { glob, readdir, rm, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { once } from "node:events";
import { InfraError } from "../core/errors.ts";
import type { Report } from "./context.ts";
import { findCommand } from "./process.ts";
import { withLock } from "./lock.ts";

const POLICY = "/usr/sbin/policy-rc.d";
const LOCK = "/run/rdev-infra-apt.lock";

/** A Debian package that the sandbox needs. */
interface Need {
  readonly name: string;
  isInstalled(): Promise<boolean>;
}

const command = (name: string, packageName = name): Need => ({
  name: packageName,
  isInstalled: async () => (await findCommand(name)) !== undefined,
});

const NEEDS: readonly Need[] = [
  command("git"),
  command("redis-server"),
  command("pdns_server", "pdns-server"),
  { name: "pdns-backend-sqlite3", isInstalled: hasSqliteBackend },
  command("htpasswd", "apache2-utils"),
  // For the steps of pipelines, and for the code of pull requests that the service previews.
  command("bwrap", "bubblewrap"),
];

/** Needed for a real node. */
const NODE: readonly Need[] = [
  command("runc"),
  command("nft", "nftables"),
  command("ipset"),
  command("iptables"),
  command("ip", "iproute2"),
  command("unshare", "util-linux"),
  command("nsenter", "util-linux"),
  command("mount"),
  command("openssl"),
];

/** Needed to compile C code. */
const COMPILER: readonly Need[] = [
  command("gcc"),
  { name: "libc6-dev", isInstalled: async () => existsSync("/usr/include/stdio.h") },
];

/** The needed Debian packages that are not installed. */
export async function missingPackages({ compiler = false, node = false } = {}): Promise<string[]> {
  const needs = [...NEEDS, ...(compiler ? COMPILER : []), ...(node ? NODE : [])];
  const installed = await Promise.all(needs.map((need) => need.isInstalled()));
  const missing = needs.filter((_, index) => !installed[index]).map(({ name }) => name);
  return [...new Set(missing)];
}

/** Whether `installPackages` can be used: as root, on Debian or a derivative. */
export async function canInstall(): Promise<boolean> {
  return process.getuid?.() === 0 && (await findCommand("apt-get")) !== undefined;
}

/** Installs packages without starting their services. Errors: RDEV_PREREQUISITE with apt's output. */
export async function installPackages(packages: readonly string[], report: Report): Promise<void> {
  await withLock(
    LOCK,
    async () => {
      report("packages", `installing ${packages.join(", ")}`);
      await withoutServices(async () => {
        const first = (await hasPackageLists()) ? await install(packages) : "no package lists";
        if (first === undefined) return;
        report("packages", "fetching Debian's package lists");
        const updated = await apt(["update"]);
        const second = updated ?? (await install(packages));
        if (second !== undefined) {
          throw new InfraError(
            "RDEV_PREREQUISITE",
            `apt-get could not install ${packages.join(", ")}:\n${second}`,
          );
        }
      });
    },
    () => report("packages", "waiting for another process that installs packages"),
  );
}

/** Fetches the lists of packages if there are none. Errors: RDEV_PREREQUISITE with apt's output. */
export async function updateLists(report: Report): Promise<void> {
  if (await hasPackageLists()) return;
  await withLock(
    LOCK,
    async () => {
      if (await hasPackageLists()) return;
      report("packages", "fetching Debian's package lists");
      const errors = await apt(["update"]);
      if (errors !== undefined) {
        throw new InfraError("RDEV_PREREQUISITE", `apt-get could not fetch its lists:\n${errors}`);
      }
    },
    () => report("packages", "waiting for another process that fetches Debian's package lists"),
  );
}

async function hasSqliteBackend(): Promise<boolean> {
  // On systems other than Debian the backend is part of the server.
  if (!(await findCommand("dpkg"))) return true;
  for await (const _ of glob("/usr/lib/*/pdns/libgsqlite3backend.so")) return true;
  return false;
}

/** Debian starts no service while the policy script exits with 101. An existing script is kept. */
async function withoutServices(work: () => Promise<void>): Promise<void> {
  const isOurs = await writeFile(POLICY, "#!/bin/sh\nexit 101\n", { flag: "wx", mode: 0o755 }).then(
    () => true,
    () => false,
  );
  try {
    await work();
  } finally {
    if (isOurs) await rm(POLICY, { force: true });
  }
}

async function hasPackageLists(): Promise<boolean> {
  const names = await readdir("/var/lib/apt/lists").catch(() => []);
  return names.some((name) => name.includes("Packages"));
}

function install(packages: readonly string[]): Promise<string | undefined> {
  return apt(["install", "--yes", "--no-install-recommends", ...packages]);
}

/** Returns apt's errors; undefined if it succeeded. */
async function apt(args: readonly string[]): Promise<string | undefined> {
  // Not started by the reaper: a killed package manager would leave the machine broken.
  const child = spawn("apt-get", ["-o", "DPkg::Lock::Timeout=300", "--quiet", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  const [errors] = await Promise.all([text(child.stderr), once(child, "close")]);
  return child.exitCode === 0 ? undefined : errors.trim() || `code ${child.exitCode}`;
}
