import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type Owner, ownerBefore, ownerSchema } from "../../core/ownership.ts";
import { keptByDestroy } from "../../core/recorded-settings.ts";
import { secretsOfState, type StackSecrets } from "../../core/secrets-provider.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { failedBecause, runPulumi, type CommandControl } from "./command.ts";
import { storedState } from "./quirks/state-file.ts";

const resource = z.looseObject({
  urn: z.string(),
  type: z.string(),
  /** False or absent for a component, which has no object on a server. */
  custom: z.boolean().optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
});

const exported = z.looseObject({
  deployment: z.looseObject({
    resources: z.array(resource).nullish(),
    pending_operations: z.array(z.looseObject({ resource, type: z.string() })).nullish(),
    secrets_providers: z.unknown(),
  }),
});

type Exported = z.output<typeof exported>;
export type StateResource = z.output<typeof resource>;

/** A property to set on all resources of a type. */
export interface StateProperty {
  /** For example `pulumi-nodejs:dynamic/postgres:Database`. */
  readonly type: string;
  readonly property: string;
  readonly value: unknown;
}

/** Whether the resource stands for an object on a server. */
export function isObject({ custom, type }: StateResource): boolean {
  return custom === true && !type.startsWith("pulumi:providers:");
}

/** A stack's state, exported once. Its secrets stay encrypted. */
export class StackState {
  readonly #stack: string;
  readonly #workDir: string;
  readonly #state: Exported;
  #hasChanged = false;

  private constructor(stack: string, workDir: string, state: Exported) {
    this.#stack = stack;
    this.#workDir = workDir;
    this.#state = state;
  }

  /** Throws CommandFailure, also if there is no such stack. */
  static async read(stack: string, workDir: string, signal?: AbortSignal): Promise<StackState> {
    // The CLI reports a stack that is missing.
    const state =
      (await exportState(stack, workDir, signal)) ?? (await exportByCli(stack, workDir, signal));
    return new StackState(stack, workDir, exported.parse(state));
  }

  /** Returns undefined if there is no such stack. */
  static async find(
    stack: string,
    workDir: string,
    signal?: AbortSignal,
  ): Promise<StackState | undefined> {
    const state = await exportState(stack, workDir, signal);
    return state === undefined ? undefined : new StackState(stack, workDir, exported.parse(state));
  }

  /** How its secrets are encrypted; undefined if Pulumi's own service does it. */
  get secrets(): StackSecrets | undefined {
    return secretsOfState(this.#state.deployment.secrets_providers);
  }

  get resources(): readonly StateResource[] {
    return this.#state.deployment.resources ?? [];
  }

  /** The resources whose creation was interrupted and that no later `up` has created. */
  get halfCreated(): StateResource[] {
    const created = new Set(this.resources.map(({ urn }) => urn));
    return (this.#state.deployment.pending_operations ?? [])
      .filter(({ type, resource: { urn } }) => type === "creating" && !created.has(urn))
      .map((each) => each.resource);
  }

  /** The URNs of resources that stand for an object on a server, created or half created. */
  get objects(): string[] {
    return [...new Set(this.#all.filter(isObject).map(({ urn }) => urn))];
  }

  /** The settings that a destroy of the project uses if it names none. Throws RDEV_SETTINGS. */
  keptByDestroy(formerly: ProjectChanges): ReturnType<typeof keptByDestroy> {
    return keptByDestroy(this.resources, formerly);
  }

  /** The stack's outputs. Secret ones are encrypted. */
  get outputs(): Readonly<Record<string, unknown>> {
    return this.resources.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {};
  }

  /** The program has finished at least once, because only then it returns outputs. */
  get hasOutputs(): boolean {
    return Object.keys(this.outputs).length > 0;
  }

  /** The owner in the marks of its resources; undefined if no resource carries a mark. */
  get owner(): Owner | undefined {
    const all = this.#all;
    const owners = all.map(({ inputs }) => ownerSchema.safeParse(inputs?.["owner"]).data);
    const project = all
      .map(({ inputs }) => inputs?.["project"])
      .find((each) => typeof each === "string");
    return owners.find(Boolean) ?? (project === undefined ? undefined : ownerBefore(project));
  }

  get #all(): StateResource[] {
    const pending = this.#state.deployment.pending_operations ?? [];
    return [...this.resources, ...pending.map((each) => each.resource)];
  }

  /** Sets the property on all resources of its type, so that their `delete` sees the new value. */
  set({ type, property, value }: StateProperty): void {
    for (const each of this.resources) {
      if (each.type !== type) continue;
      for (const properties of [each.inputs, each.outputs]) {
        if (!properties || properties[property] === value) continue;
        properties[property] = value;
        this.#hasChanged = true;
      }
    }
  }

  replaceResources(resources: readonly StateResource[]): void {
    this.#state.deployment.resources = [...resources];
    this.#hasChanged = true;
  }

  /** Writes the changes, if there are any. Throws CommandFailure, also if the stack is locked. */
  async save(control: CommandControl = {}): Promise<void> {
    if (this.#hasChanged) await this.#import(control);
  }

  /**
   * Removes the record of interrupted operations. The caller must know that their resources are
   * created. Throws CommandFailure.
   */
  async forgetInterrupted(): Promise<void> {
    if ((this.#state.deployment.pending_operations ?? []).length > 0) await this.#import({});
  }

  /** The CLI removes the record of interrupted operations from every state that it imports. */
  async #import(control: CommandControl): Promise<void> {
    const file = join(this.#workDir, `${this.#stack}.state.json`);
    await writeFile(file, JSON.stringify(this.#state), { mode: 0o600 });
    try {
      const args = ["stack", "import", "--stack", this.#stack, "--file", file];
      await runPulumi(args, { ...control, workDir: this.#workDir });
    } finally {
      await rm(file, { force: true });
    }
  }
}

/** What `pulumi stack export` prints, parsed; undefined if there is no such stack. Throws CommandFailure. */
export async function exportState(
  stack: string,
  workDir: string,
  signal?: AbortSignal,
): Promise<unknown> {
  const stored = await storedState(stack, workDir);
  if (stored === "missing") return undefined;
  if (stored) return stored;
  try {
    return await exportByCli(stack, workDir, signal);
  } catch (error) {
    if (failedBecause(error, "stack-not-found")) return undefined;
    throw error;
  }
}

async function exportByCli(stack: string, workDir: string, signal?: AbortSignal): Promise<unknown> {
  return JSON.parse(await runPulumi(["stack", "export", "--stack", stack], { workDir, signal }));
}

/**
 * The owner in the marks of a stack's objects. If there is no stack, or an empty one, it has the
 * platform and the slug, and no stack's id.
 */
export function ownerIn(stack: string, state: StackState | undefined): Owner {
  const name = parseStackName(stack);
  const project = name.kind === "project" ? name.slug : name.platform;
  return state?.owner ?? { platform: name.platform, project, stack: "" };
}

/** Reads the stack's state for `ownerIn`. */
export async function ownerOfStack(stack: string, workDir: string): Promise<Owner> {
  return ownerIn(stack, await StackState.find(stack, workDir));
}
