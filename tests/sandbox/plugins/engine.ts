/** Runs inline programs on the real engine, with the stand-in plugins and a separate state. */
import { mkdtemp, mkdir, readFile, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation/index.js";
import { useOwnConnections } from "../../../automation/engine/quirks/own-connections.ts";
import { sdkVersion } from "../../../automation/engine/versions.ts";

useOwnConnections();

const STAND_INS = join(import.meta.dirname, "../../../sandbox/plugins");

/** Variables for an engine with its own home, in which only the stand-ins are installed. */
export async function engineEnvironment(folder: string): Promise<Record<string, string>> {
  const home = join(folder, "home");
  await Promise.all([mkdir(join(folder, "state")), installPlugins(home)]);
  return {
    PATH: [join(STAND_INS, "nodejs"), process.env["PATH"]].join(delimiter),
    PULUMI_HOME: home,
    PULUMI_BACKEND_URL: `file://${folder}/state`,
    PULUMI_CONFIG_PASSPHRASE: "only for tests",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  };
}

/** Installed plugins, because the engine warns of plugins that it finds on PATH. */
async function installPlugins(pulumiHome: string): Promise<void> {
  for (const name of ["kubernetes", "random", "command"]) {
    const folder = join(pulumiHome, "plugins", `resource-${name}-v${sdkVersion(name)}`);
    await mkdir(folder, { recursive: true });
    const program = `pulumi-resource-${name}`;
    await symlink(join(STAND_INS, name, program), join(folder, program));
  }
}

/** Declares resources, and returns the outputs. */
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
  /** Everything that the engine printed. */
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

  /** Runs an update. Returns the outputs in plain text. */
  async up(program: Program): Promise<Record<string, unknown>> {
    const { outputs } = await this.stack.up({
      program: () => Promise.resolve().then(program),
      onOutput: this.#onOutput,
      onError: this.#onOutput,
    });
    return Object.fromEntries(Object.entries(outputs).map(([key, { value }]) => [key, value]));
  }

  /** The steps of a preview, without those that change nothing. */
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

  /** Runs an update that must fail. Returns what the engine printed. */
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

  /** The resources in the stored state. */
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

  /** All files that the engine stored: state, history and backups. */
  async stored(): Promise<string> {
    const names = await readdir(this.folder, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile());
    const texts = files.map((entry) => readFile(join(entry.parentPath, entry.name), "utf8"));
    return (await Promise.all(texts)).join("\n");
  }

  /** Removes the state. The test's namespace is deleted with everything that the programs created. */
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
