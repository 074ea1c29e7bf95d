import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { processEnvironment } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { previewVariables } from "../../core/previews/variables.ts";
import { checkOut } from "../../providers/git/checkout.ts";
import type { Remote } from "../../providers/git/git.ts";
import { pulumiHome } from "../engine/folders.ts";
import { programsFor, runInBox, trustedAuthorities } from "./box.ts";

/** In ms. */
const INSTALL_DEADLINE = 10 * 60_000;
const PREVIEW_DEADLINE = 30 * 60_000;
/** Checkouts of the newest commits stay, so that a second preview of a commit installs nothing. */
const KEPT = 3;
/** In ms. A checkout takes at most 10 minutes to fetch and 10 to install. */
const MAX_UNFINISHED = 60 * 60_000;

/** Where the checkout and the report are in a box. */
const CHECKOUT = "/checkout";
const REPORT = "/out/report.json";

interface PullRequestCommit {
  readonly number: number;
  readonly commit: string;
  readonly base: string;
}

interface RunPreviewOptions {
  readonly remote: Remote;
  readonly signal: AbortSignal;
  /** Default: `~/.cache/rdev-infra/previews`. */
  readonly cache?: string;
}

/**
 * Previews one commit of a pull request in a box, and calls `use` with the file of its report, which is
 * gone afterwards. Rejects with RDEV_UNREACHABLE if the signal aborts, and with RDEV_REFUSED if the packages
 * cannot be installed. The pull request's code writes that file, or leaves it empty. It gets the variables
 * of `previewVariables`, and can change no file but its report.
 */
export async function runPreview<T>(
  pull: PullRequestCommit,
  { remote, signal, cache = cacheFolder() }: RunPreviewOptions,
  use: (report: string) => Promise<T>,
): Promise<T> {
  const checkout = await checkoutOf(pull, { remote, signal, cache });
  const out = await mkdtemp(join(tmpdir(), "rdev-preview-"));
  const report = join(out, "report.json");
  try {
    // The box shows this file, and not its folder: so it stays a file, and has the box's limit of size.
    await writeFile(report, "", { mode: 0o600 });
    const programs = await programsFor("git", "pulumi");
    const authorities = trustedAuthorities();
    const { KUBECONFIG: kubeconfig, ...variables } = previewVariables(processEnvironment());
    const backend = variables["PULUMI_BACKEND_URL"] ?? "";
    // It may have a query, such as file:///states?metadata=skip.
    const states = backend.startsWith("file:///") ? fileURLToPath(new URL(backend)) : undefined;
    await runInBox({
      command: [
        "node",
        ...["cli/rdev-infra.js", "preview", "--changed", "origin/base", "--commit", pull.commit],
        ...["--report", REPORT],
      ],
      cwd: CHECKOUT,
      mounts: [
        ...programs.mounts,
        ...authorities.mounts,
        { from: checkout, to: CHECKOUT },
        { from: join(pulumiHome(), "plugins"), to: "/tmp/pulumi/plugins", optional: true },
        ...(kubeconfig === undefined ? [] : [{ from: kubeconfig, to: "/tmp/kubeconfig" }]),
        ...(states === undefined ? [] : [{ from: states, to: states }]),
        { from: report, to: REPORT, writable: true },
      ],
      variables: {
        ...variables,
        ...authorities.variables,
        PATH: programs.path,
        HOME: "/tmp",
        PULUMI_HOME: "/tmp/pulumi",
        ...(kubeconfig !== undefined && { KUBECONFIG: "/tmp/kubeconfig" }),
      },
      deadline: PREVIEW_DEADLINE,
      signal,
    });
    if (signal.aborted) throw stopped();
    return await use(report);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

function cacheFolder(): string {
  return join(homedir(), ".cache", "rdev-infra", "previews");
}

/** The folder with the commit and its packages, made once. No code of the pull request can change it. */
async function checkoutOf(
  pull: PullRequestCommit,
  { remote, signal, cache }: Required<RunPreviewOptions>,
): Promise<string> {
  const folder = join(cache, pull.commit);
  const now = new Date();
  if (
    await utimes(folder, now, now).then(
      () => true,
      () => false,
    )
  )
    return folder;
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const fresh = join(cache, `${pull.commit}.${randomBytes(6).toString("hex")}`);
  try {
    await checkOut(fresh, remote, pull);
    await install(fresh, signal);
    await rename(fresh, folder).catch((error: NodeJS.ErrnoException) => {
      // Another replica was faster.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  await evict(cache, pull.commit);
  return folder;
}

/** Installs the packages without their scripts, without any secret. */
async function install(folder: string, signal: AbortSignal): Promise<void> {
  const programs = await programsFor("npm");
  const authorities = trustedAuthorities();
  const code = await runInBox({
    command: ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
    cwd: CHECKOUT,
    mounts: [
      ...programs.mounts,
      ...authorities.mounts,
      { from: folder, to: CHECKOUT, writable: true },
    ],
    variables: { ...authorities.variables, PATH: programs.path, HOME: "/tmp" },
    deadline: INSTALL_DEADLINE,
    signal,
  });
  if (code === 0) return;
  if (signal.aborted) throw stopped();
  throw new InfraError(
    "RDEV_REFUSED",
    "The packages of the pull request cannot be installed: npm ci --ignore-scripts " +
      (code === null ? "took too long, or was killed." : `ended with ${code}.`),
  );
}

function stopped(): InfraError {
  return new InfraError("RDEV_UNREACHABLE", "The service stops; another one previews the commit.");
}

/** Removes all checkouts but the newest ones, and those that a killed process left unfinished. */
async function evict(cache: string, current: string): Promise<void> {
  const names = (await readdir(cache)).filter((name) => /^[0-9a-f]{40,64}(\.|$)/.test(name));
  const aged = await Promise.all(
    names.map(async (name) => {
      // Another replica may have removed it.
      const found = await stat(join(cache, name)).catch(() => undefined);
      return { name, at: found?.mtimeMs ?? 0 };
    }),
  );
  const finished = aged.filter(({ name }) => !name.includes("."));
  const unfinished = aged.filter(({ name }) => name.includes("."));
  const old = [
    ...finished.toSorted((a, b) => b.at - a.at).slice(KEPT),
    ...unfinished.filter(({ at }) => at < Date.now() - MAX_UNFINISHED),
  ];
  for (const { name } of old) {
    if (name !== current) await rm(join(cache, name), { recursive: true, force: true });
  }
}
