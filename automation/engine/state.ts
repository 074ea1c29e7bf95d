import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type Owner, ownerBefore, ownerSchema } from "../../core/ownership.ts";
import { keptByDestroy } from "../../core/recorded-settings.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { CommandFailure, runPulumi } from "./command.ts";
import { isStackNotFound } from "./messages.ts";

const resource = z.looseObject({
  urn: z.string(),
  type: z.string(),
  /** An object somewhere; a component is none. */
  custom: z.boolean().optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
});

const exported = z.looseObject({
  deployment: z.looseObject({
    resources: z.array(resource).nullish(),
    pending_operations: z.array(z.looseObject({ resource, type: z.string() })).nullish(),
  }),
});

/** A property that all resources of a type have. */
export interface StateProperty {
  /** As `pulumi-nodejs:dynamic/postgres:Database`. */
  readonly type: string;
  readonly property: string;
  readonly value: unknown;
}

type Exported = z.output<typeof exported>;

/** A stack's state, of which a few things can be read and set. Its secrets stay encrypted. */
export class StackState {
  readonly #stack: string;
  readonly #workDir: string;
  readonly #state: Exported;
  #changed = false;

  private constructor(stack: string, workDir: string, state: Exported) {
    this.#stack = stack;
    this.#workDir = workDir;
    this.#state = state;
  }

  /** Throws CommandFailure. */
  static async read(stack: string, workDir: string): Promise<StackState> {
    const text = await runPulumi(["stack", "export", "--stack", stack], { workDir });
    return new StackState(stack, workDir, exported.parse(JSON.parse(text)));
  }

  /** As `read`; undefined where there is no such stack. */
  static async find(stack: string, workDir: string): Promise<StackState | undefined> {
    try {
      return await StackState.read(stack, workDir);
    } catch (error) {
      if (error instanceof CommandFailure && isStackNotFound(error.stderr)) return undefined;
      throw error;
    }
  }

  /** What a destroy of the project keeps that names nothing. Throws RDEV_SETTINGS. */
  keptByDestroy(formerly: ProjectChanges): ReturnType<typeof keptByDestroy> {
    return keptByDestroy(this.#state.deployment.resources ?? [], formerly);
  }

  /** The URNs of what stands for an object somewhere, whole or half made. */
  get resources(): string[] {
    const { resources, pending_operations: pending } = this.#state.deployment;
    const all = [...(resources ?? []), ...(pending ?? []).map((each) => each.resource)];
    const objects = all.filter(
      ({ custom, type }) => custom === true && !type.startsWith("pulumi:providers:"),
    );
    return [...new Set(objects.map(({ urn }) => urn))];
  }

  /** The program has run to its end once: it gave its outputs. */
  get hasOutputs(): boolean {
    const stack = this.#state.deployment.resources?.find(
      ({ type }) => type === "pulumi:pulumi:Stack",
    );
    return Object.keys(stack?.outputs ?? {}).length > 0;
  }

  /** Whom its resources' marks name; undefined where it holds no resource that carries one. */
  get owner(): Owner | undefined {
    const { resources, pending_operations: pending } = this.#state.deployment;
    const all = [...(resources ?? []), ...(pending ?? []).map((each) => each.resource)];
    const owners = all.map(({ inputs }) => ownerSchema.safeParse(inputs?.["owner"]).data);
    const project = all.map(({ inputs }) => inputs?.["project"]).find(isText);
    return owners.find(Boolean) ?? (project === undefined ? undefined : ownerBefore(project));
  }

  /** The making of a resource was interrupted, and no later `up` has made it. */
  get isHalfMade(): boolean {
    const { resources, pending_operations: pending } = this.#state.deployment;
    const made = new Set((resources ?? []).map(({ urn }) => urn));
    return (pending ?? []).some(
      ({ type, resource: { urn } }) => type === "creating" && !made.has(urn),
    );
  }

  /** Of all resources of its type, as their `delete` will see it. */
  set({ type, property, value }: StateProperty): void {
    for (const each of this.#state.deployment.resources ?? []) {
      if (each.type !== type) continue;
      for (const properties of [each.inputs, each.outputs]) {
        if (!properties || properties[property] === value) continue;
        properties[property] = value;
        this.#changed = true;
      }
    }
  }

  /** Writes what was set. Throws CommandFailure, also where the stack is locked. */
  async save(): Promise<void> {
    if (this.#changed) await this.#import();
  }

  /** Takes out what was interrupted: it must be made by now. Throws as `save`. */
  async forgetInterrupted(): Promise<void> {
    if ((this.#state.deployment.pending_operations ?? []).length > 0) await this.#import();
  }

  /** It leaves out, by itself, what was interrupted. */
  async #import(): Promise<void> {
    const file = join(this.#workDir, `${this.#stack}.state.json`);
    await writeFile(file, JSON.stringify(this.#state), { mode: 0o600 });
    try {
      const from = ["--stack", this.#stack, "--file", file];
      await runPulumi(["stack", "import", ...from], { workDir: this.#workDir });
    } finally {
      await rm(file, { force: true });
    }
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/**
 * Whom the marks on a stack's objects name, for the time after its state is gone. Without a stack,
 * or with an empty one: its platform and slug, and no stack's id.
 */
export async function ownerOfStack(stack: string, workDir: string): Promise<Owner> {
  const name = parseStackName(stack);
  const project = name.kind === "project" ? name.slug : name.platform;
  const unknown = { platform: name.platform, project, stack: "" };
  return (await StackState.find(stack, workDir))?.owner ?? unknown;
}
