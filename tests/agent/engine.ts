import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import {
  agentConfiguration,
  type AgentConfigurationArgs,
} from "../../components/citadel-agent/configuration.ts";
import { findCommand } from "../../sandbox/process.ts";

/** The path of the real engine, if the machine has one. */
export const fluentBit = await findCommand("fluent-bit");

export interface EngineOptions extends Omit<AgentConfigurationArgs, "paths" | "metricsPort"> {
  /** Contains the configuration, the state and the node's logs. */
  readonly folder: string;
  readonly key: string;
  readonly tenant: string;
  readonly port: number;
  /** A prefix of the command, such as `taskset`. */
  readonly before?: readonly string[];
  /** Another version of the configuration. @default this one */
  readonly configure?: typeof agentConfiguration;
}

/** One agent on one node. It can be killed and restarted, also with another key. */
export class Engine {
  readonly logs: string;
  readonly state: string;
  readonly #options: EngineOptions;
  #child: ChildProcess | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.logs = join(options.folder, "containers");
    this.state = join(options.folder, "state");
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start({ key = this.#options.key } = {}): Promise<void> {
    const {
      folder,
      tenant,
      port,
      before = [],
      configure = agentConfiguration,
      ...args
    } = this.#options;
    const configuration = join(folder, "configuration");
    for (const path of [configuration, this.logs, this.state]) {
      await mkdir(path, { recursive: true });
    }
    const paths = { configuration, state: this.state, logs: this.logs };
    const files = configure({ ...args, paths, metricsPort: port });
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(configuration, name), content);
    }
    const [command = "", ...rest] = [
      ...before,
      fluentBit ?? "",
      `--config=${join(configuration, "fluent-bit.yaml")}`,
    ];
    const child = spawn(command, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        CITADEL_API_KEY: key,
        CITADEL_TENANT_ID: tenant,
        NODE_NAME: "node-1",
      },
    });
    const output = createWriteStream(join(folder, "output.txt"), { flags: "a" });
    child.stdout.pipe(output);
    child.stderr.pipe(output);
    this.#child = child;
    // Ends the engine when the test run fails.
    const end = () => child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`fluent-bit ended: see ${folder}/output.txt`);
      return (await this.metrics()).includes("fluentbit_uptime");
    });
  }

  /** Ends the engine without a shutdown. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Ends the engine like the kubelet stops a pod. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  async metrics(): Promise<string> {
    const url = `http://127.0.0.1:${this.#options.port}/api/v2/metrics/prometheus`;
    const { body } = await request(url).catch(() => ({ body: undefined }));
    return (await body?.text()) ?? "";
  }

  /** The sum of all samples of a metric whose labels contain the text. */
  async metric(name: string, labels = ""): Promise<number> {
    return (await this.metrics())
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
      .reduce((sum, line) => sum + Number(line.split("} ").at(-1)?.split(" ")[0]), 0);
  }
}

/** Waits until the check returns true. Throws after the timeout. */
export async function eventually(
  check: () => boolean | Promise<boolean>,
  { timeout = 60_000, what = "the condition" } = {},
): Promise<void> {
  const end = Date.now() + timeout;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`timed out after ${timeout} ms: ${what}`);
    await sleep(100);
  }
}

/** A suite that needs the real engine. Without one on PATH its tests are skipped, with the reason. */
export function describeEngine(title: string, suite: (this: Mocha.Suite) => void): void {
  if (fluentBit) describe(title, suite);
  else describe.skip(`${title} (skipped: there is no \`fluent-bit\` on PATH)`, suite);
}
