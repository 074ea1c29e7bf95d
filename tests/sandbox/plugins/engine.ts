/** Runs inline programs on the real engine, with the stand-in plugins and a state of their own. */
import { mkdtemp, mkdir, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation/index.js";
import { useOwnConnections } from "../../../automation/engine/quirks/own-connections.ts";
import { installPlugins } from "../../../sandbox/plugins/install.ts";

useOwnConnections();

const LANGUAGE_HOST = join(import.meta.dirname, "../../../sandbox/plugins/nodejs");

/** The stand-ins are installed into a home of their own, so that they are what is tested. */
export async function engineEnvironment(folder: string): Promise<Record<string, string>> {
  const home = join(folder, "home");
  await Promise.all([mkdir(join(folder, "state")), installPlugins(home)]);
  return {
    PATH: [LANGUAGE_HOST, process.env["PATH"]].join(delimiter),
    PULUMI_HOME: home,
    PULUMI_BACKEND_URL: `file://${folder}/state`,
    PULUMI_CONFIG_PASSPHRASE: "only for tests",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  };
}

/** What a stack declares, and its outputs. */
export type Program = () => Record<string, unknown> | void;

export interface Step {
  readonly op: string;
  readonly urn: string;
  /** The kind of change by property path. */
  readonly changes: Readonly<Record<string, string>>;
}

export class Run {
  readonly folder: string;
  readonly stack: Stack;
  /** All that the engine printed. */
  output = "";

  private constructor(folder: string, stack: Stack) {
    this.folder = folder;
    this.stack = stack;
  }

  static async start(): Promise<Run> {
    const folder = await mkdtemp(join(tmpdir(), "plugins-test-"));
    const stack = await LocalWorkspace.createStack(
      { stackName: "test", projectName: "plugins", program: () => Promise.resolve() },
      { workDir: folder, envVars: await engineEnvironment(folder) },
    );
    return new Run(folder, stack);
  }

  readonly #onOutput = (text: string): void => {
    this.output += text;
  };

  /** Updates to what the program declares; its outputs, in plain text. */
  async up(program: Program): Promise<Record<string, unknown>> {
    const { outputs } = await this.stack.up({
      program: () => Promise.resolve().then(program),
      onOutput: this.#onOutput,
      onError: this.#onOutput,
    });
    return Object.fromEntries(Object.entries(outputs).map(([key, { value }]) => [key, value]));
  }

  /** The steps that an update would take, without those that change nothing. */
  async preview(program: Program): Promise<Step[]> {
    const steps: Step[] = [];
    await this.stack.preview({
      program: () => Promise.resolve().then(program),
      onOutput: this.#onOutput,
      onError: this.#onOutput,
      onEvent: ({ resourcePreEvent }) => {
        if (resourcePreEvent === undefined) return;
        const { op, urn, detailedDiff } = resourcePreEvent.metadata;
        if (op === "same" || /::pulumi:(pulumi|providers):/.test(urn)) return;
        const changes = Object.entries(detailedDiff ?? {}).map(([path, { diffKind }]) => [
          path,
          diffKind,
        ]);
        steps.push({ op, urn, changes: Object.fromEntries(changes) as Record<string, string> });
      },
    });
    return steps;
  }

  /** The update must fail: what the engine printed about it. */
  async upFails(program: Program): Promise<string> {
    const from = this.output.length;
    try {
      await this.up(program);
    } catch {
      return this.output.slice(from);
    }
    throw new Error("the update was expected to fail, but did not");
  }

  async refresh(): Promise<void> {
    await this.stack.refresh({ onOutput: this.#onOutput, onError: this.#onOutput });
  }

  async destroy(): Promise<void> {
    await this.stack.destroy({ onOutput: this.#onOutput, onError: this.#onOutput });
  }

  /** The resources of the state as it is stored. */
  async resources(): Promise<StoredResource[]> {
    const state = await this.stack.exportStack();
    return (state.deployment as { resources?: StoredResource[] }).resources ?? [];
  }

  async resource(type: string): Promise<StoredResource> {
    const found = (await this.resources()).filter((item) => item.type === type);
    const [only] = found;
    if (only === undefined || found.length > 1) throw new Error(`${found.length} of ${type}`);
    return only;
  }

  /** Every byte that the engine stored: state, history and backups. */
  async stored(): Promise<string> {
    const names = await readdir(this.folder, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile());
    const texts = files.map((entry) => readFile(join(entry.parentPath, entry.name), "utf8"));
    return (await Promise.all(texts)).join("\n");
  }

  /** Removes the state. What the programs made goes with the namespace of their test. */
  async end(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

export interface StoredResource {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  readonly inputs?: Record<string, unknown>;
  readonly outputs?: Record<string, unknown>;
  readonly initErrors?: readonly string[];
}
