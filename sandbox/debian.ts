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

/** Something the sandbox needs and Debian packages. */
interface Need {
  /** Its Debian package. */
  readonly name: string;
  isThere(): Promise<boolean>;
}

const command = (name: string, packageName = name): Need => ({
  name: packageName,
  isThere: async () => (await findCommand(name)) !== undefined,
});

const NEEDS: readonly Need[] = [
  command("git"),
  command("redis-server"),
  command("pdns_server", "pdns-server"),
  { name: "pdns-backend-sqlite3", isThere: hasSqliteBackend },
  // The registry reads bcrypt only, which Node's crypto does not have.
  command("htpasswd", "apache2-utils"),
];

/** What compiles C. */
const COMPILER: readonly Need[] = [
  command("gcc"),
  { name: "libc6-dev", isThere: async () => existsSync("/usr/include/stdio.h") },
];

/** The Debian packages that are needed and not there. */
export async function missingPackages({ compiler = false } = {}): Promise<string[]> {
  const needs = compiler ? [...NEEDS, ...COMPILER] : NEEDS;
  const there = await Promise.all(needs.map((need) => need.isThere()));
  return needs.filter((_, index) => !there[index]).map(({ name }) => name);
}

/** True where `installPackages` may be used: Debian or its kin, as root. */
export async function canInstall(): Promise<boolean> {
  return process.getuid?.() === 0 && (await findCommand("apt-get")) !== undefined;
}

/** Installs packages, and starts none of their services. Errors: RDEV_PREREQUISITE with apt's words. */
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
    () => report("packages", "waits for another process that installs packages"),
  );
}

async function hasSqliteBackend(): Promise<boolean> {
  // Elsewhere than on Debian the backend comes with the server.
  if (!(await findCommand("dpkg"))) return true;
  for await (const _ of glob("/usr/lib/*/pdns/libgsqlite3backend.so")) return true;
  return false;
}

/** Debian's way to say that no service may be started: a policy that answers 101. One that is there stays. */
async function withoutServices(work: () => Promise<void>): Promise<void> {
  const ours = await writeFile(POLICY, "#!/bin/sh\nexit 101\n", { flag: "wx", mode: 0o755 }).then(
    () => true,
    () => false,
  );
  try {
    await work();
  } finally {
    if (ours) await rm(POLICY, { force: true });
  }
}

async function hasPackageLists(): Promise<boolean> {
  const names = await readdir("/var/lib/apt/lists").catch(() => []);
  return names.some((name) => name.includes("Packages"));
}

function install(packages: readonly string[]): Promise<string | undefined> {
  return apt(["install", "--yes", "--no-install-recommends", ...packages]);
}

/** Undefined when it went well, else the end of what apt said. */
async function apt(args: readonly string[]): Promise<string | undefined> {
  // Not owned by the reaper: a package manager that is killed half way leaves the machine broken.
  const child = spawn("apt-get", ["-o", "DPkg::Lock::Timeout=300", "--quiet", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  const [errors] = await Promise.all([text(child.stderr), once(child, "close")]);
  return child.exitCode === 0 ? undefined : errors.trim() || `code ${child.exitCode}`;
}
