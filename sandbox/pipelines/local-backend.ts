import { chown, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Mount } from "../../automation/processes/bubblewrap.ts";
import { killGroup } from "../../automation/processes/processes.ts";
import type { Reaper } from "../../automation/processes/reaper.ts";
import type { Backend, StepOrder, StepWatch, Workspace } from "../woodpecker/backend.ts";
import { boxArguments } from "./box.ts";
import { type Counterpart, counterpartOf, KNOWN_IMAGES, type Programs } from "./counterparts.ts";
import { Lines } from "./lines.ts";
import { CLONE_COMMANDS, scriptOf } from "./script.ts";

export interface LocalBackendOptions {
  /** Each workflow gets a folder in this one, and removes it. */
  readonly folder: string;
  readonly reaper: Reaper;
  /** The path of `bwrap`. */
  readonly bubblewrap: string;
  readonly programs: Programs;
  /** The names of servers, as a file for /etc/hosts. */
  readonly hosts: string;
  /** The user of the steps. Undefined: the user of this process. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

const HOME = "/home/step";
/** The folder that the steps of a workflow share. */
const VOLUME = "/woodpecker";
/** The exit code of a process that was killed (pipeline/const.go). */
const EXIT_KILLED = 137;

/**
 * Runs the steps of pipelines as processes of this machine. No image is pulled: a step gets the
 * programs of this machine that stand in for its image, and an image without a counterpart is an error.
 *
 * Each step runs in a box of bubblewrap, as a user without rights, with a home and a /tmp of its own.
 * The steps of a workflow share the folder /woodpecker, which is a volume in Woodpecker.
 */
export function localBackend(options: LocalBackendOptions): Backend {
  return {
    async prepare() {
      return new LocalWorkspace(await mkdtemp(join(options.folder, "workflow-")), options);
    },
  };
}

class LocalWorkspace implements Workspace {
  readonly #folder: string;
  readonly #options: LocalBackendOptions;

  constructor(folder: string, options: LocalBackendOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async run(step: StepOrder, watch: StepWatch): Promise<number> {
    const counterpart = this.#counterpartOf(step);
    const { image } = step;
    const { description } = counterpart;
    watch.onLine(`# ${image} is not pulled: this step runs with ${description} of this machine`);
    const own = await mkdtemp(join(this.#folder, "step-"));
    try {
      const mounts = [
        ...(await this.#folders(own, counterpart)),
        { from: this.#options.hosts, to: "/etc/hosts" },
        ...counterpart.mounts,
      ];
      return await this.#runBox(step, counterpart, mounts, watch);
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  #counterpartOf({ type, image, commands, entrypoint }: StepOrder): Counterpart {
    const found = counterpartOf(image, this.#options.programs);
    if (!found) {
      throw new Error(
        `This sandbox pulls no images, and "${image}" has no counterpart on this machine. ` +
          `These images have one: ${KNOWN_IMAGES.join(", ")}`,
      );
    }
    if (type !== "clone" && commands.length + entrypoint.length === 0) {
      throw new Error(
        `This sandbox pulls no images, so it cannot run the program of "${image}". ` +
          "Give the step `commands`",
      );
    }
    return found;
  }

  /** The folders in which the step may write. */
  async #folders(own: string, { folders }: Counterpart): Promise<Mount[]> {
    const all = [
      { from: join(this.#folder, "volume"), to: VOLUME },
      ...[HOME, "/tmp", ...folders].map((to, index) => ({ from: join(own, String(index)), to })),
    ];
    const { user } = this.#options;
    return Promise.all(
      all.map(async ({ from, to }) => {
        await mkdir(from, { recursive: true, mode: 0o700 });
        if (user) await chown(from, user.uid, user.gid);
        return { from, to, writable: true };
      }),
    );
  }

  async #runBox(
    step: StepOrder,
    counterpart: Counterpart,
    mounts: readonly Mount[],
    { signal, onLine }: StepWatch,
  ): Promise<number> {
    const { reaper, bubblewrap, user } = this.#options;
    const commands = step.type === "clone" ? CLONE_COMMANDS : step.commands;
    const script = Buffer.from(scriptOf(commands, step.workingDirectory)).toString("base64");
    const program =
      step.entrypoint.length > 0
        ? step.entrypoint
        : ["/bin/sh", "-c", "echo $CI_SCRIPT | base64 -d | /bin/sh -e"];
    const args = boxArguments({
      mounts,
      user,
      workingDirectory: VOLUME, // the script changes to the step's folder
      command: ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", ...program],
    });
    signal.throwIfAborted();
    const child = reaper.spawn(bubblewrap, args, {
      cwd: "/",
      env: {
        ...counterpart.environment,
        ...(commands.length > 0 && { CI_SCRIPT: script, SHELL: "/bin/sh" }),
        ...step.environment,
        HOME,
        TMPDIR: "/tmp",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const kill = () => child.pid !== undefined && killGroup(child.pid);
    signal.addEventListener("abort", kill);
    try {
      const lines = new Lines(onLine);
      child.stdout?.on("data", (chunk: Buffer) => lines.add(chunk));
      // Only bubblewrap's own errors.
      child.stderr?.on("data", (chunk: Buffer) => lines.add(chunk));
      const code = await new Promise<number>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", (exitCode) => resolve(exitCode ?? EXIT_KILLED));
      });
      lines.end();
      return code;
    } finally {
      signal.removeEventListener("abort", kill);
    }
  }
}
