import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { connectionSecrets } from "../../core/connections.ts";
import { secretsOfState, type StackSecrets } from "../../core/secrets-provider.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { backendStacks } from "../engine/backend-stacks.ts";
import { CommandFailure, runPulumi } from "../engine/command.ts";
import { inScratchFolder } from "../engine/folders.ts";
import { commandFailure } from "../engine/messages.ts";
import { exportState } from "../engine/state.ts";
import { type Add, damaged, type Entry } from "./format.ts";

/** Commands of Pulumi at once. Each takes about 100 MB. */
export const CONCURRENCY = Math.min(availableParallelism(), 4);

const state = z.looseObject({
  deployment: z.looseObject({
    resources: z.array(z.looseObject({ urn: z.string(), id: z.string().optional() })).nullish(),
    pending_operations: z.array(z.unknown()).nullish(),
  }),
});

/** A stack's state in the archive, or in the backend. */
export interface StoredStack {
  readonly stack: string;
  /** A hash of its objects' URNs and ids. */
  readonly objects: string;
  /** It has no object, so nothing would be lost with it. */
  readonly isEmpty: boolean;
  /** An operation was running, or was killed. */
  readonly isInterrupted: boolean;
}

/**
 * Adds the state of every stack in the backend that has objects. Each state is one that the engine
 * wrote, between two steps if an operation runs: its lock is not waited for, because an operation can
 * take an hour. Returns the stacks, and with what the secrets of each are encrypted. Throws an InfraError.
 */
export async function exportStacks(
  workDir: string,
  add: Add,
  signal?: AbortSignal,
): Promise<Map<string, StackSecrets | undefined>> {
  const stacks = (await backendStacks(workDir, signal)).filter((each) => !each.isEmpty);
  const added = new Map<string, StackSecrets | undefined>();
  for (let index = 0; index < stacks.length; index += CONCURRENCY) {
    const group = stacks.slice(index, index + CONCURRENCY);
    const states = await Promise.all(group.map(({ stack }) => find(stack, workDir, signal)));
    for (const [at, { stack }] of group.entries()) {
      const found = states[at];
      if (found === undefined || describe(stack, found).isEmpty) continue;
      await add(`stacks/${stack}.json`, JSON.stringify(found));
      added.set(stack, secretsIn(found));
    }
  }
  return added;
}

/** The stacks of the backend. Throws an InfraError. */
export async function presentStacks(
  workDir: string,
  signal?: AbortSignal,
): Promise<Map<string, StoredStack>> {
  const present = new Map<string, StoredStack>();
  for (const { stack, isEmpty } of await backendStacks(workDir, signal)) {
    const found = isEmpty ? { deployment: {} } : await find(stack, workDir, signal);
    if (found !== undefined) present.set(stack, describe(stack, found));
  }
  return present;
}

/** Undefined if the entry is no stack's. Throws RDEV_BACKUP. */
export function stackOf({ name, content }: Entry): StoredStack | undefined {
  const [, stack] = /^stacks\/(.+)\.json$/.exec(name) ?? [];
  if (stack === undefined) return undefined;
  try {
    parseStackName(stack);
    return describe(stack, JSON.parse(content.toString()));
  } catch (cause) {
    throw damaged(`${name} is not a stack's state`, { cause });
  }
}

/**
 * Imports a state into a backend of its own, and removes it again. So a wrong passphrase, or a CLI that
 * is too old, is found before anything is written. Throws an InfraError.
 */
export async function rehearseImport(stack: string, entry: Entry, workDir: string): Promise<void> {
  const backend = await mkdtemp(join(tmpdir(), "rdev-infra-rehearsal-"));
  try {
    const env = { PULUMI_BACKEND_URL: pathToFileURL(backend).href };
    await importState(stack, entry, { workDir, env });
  } finally {
    await rm(backend, { recursive: true, force: true });
  }
}

interface ImportOptions {
  readonly workDir: string;
  /** The stack has a record already. Default: false. */
  readonly exists?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** Writes a state into the backend. Throws an InfraError. */
export async function importState(
  stack: string,
  { content }: Entry,
  { workDir, exists = false, env }: ImportOptions,
): Promise<void> {
  await withCause(stack, () =>
    // `stack init` writes the stack's file, so it works in a copy.
    inScratchFolder(workDir, stack, async (copy) => {
      const run = (...args: string[]) => runPulumi(args, { workDir: copy, env });
      if (!exists) await run("stack", "init", "--no-select", ...providerOf(content), stack);
      const file = join(copy, "state.json");
      await writeFile(file, content, { mode: 0o600 });
      await run("stack", "import", "--stack", stack, "--file", file);
    }),
  );
}

/** Without it, `stack init` would ask for a passphrase that a state with a key does not need. */
function providerOf(content: Buffer): string[] {
  const secrets = secretsIn(JSON.parse(content.toString()));
  return secrets ? ["--secrets-provider", secrets.provider] : [];
}

function secretsIn(exported: unknown): StackSecrets | undefined {
  return secretsOfState(state.parse(exported).deployment.secrets_providers);
}

function describe(stack: string, exported: unknown): StoredStack {
  const { resources, pending_operations: pending } = state.parse(exported).deployment;
  const lines = (resources ?? []).map(({ urn, id = "" }) => `${urn} ${id}\n`).toSorted();
  return {
    stack,
    objects: createHash("sha256").update(lines.join("")).digest("hex"),
    isEmpty: lines.length === 0,
    isInterrupted: (pending ?? []).length > 0,
  };
}

/** Undefined if the stack was removed meanwhile. */
function find(stack: string, workDir: string, signal?: AbortSignal): Promise<unknown> {
  return withCause(stack, () => exportState(stack, workDir, signal));
}

async function withCause<T>(stack: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    throw commandFailure(error.stderr, stack, connectionSecrets());
  }
}
