import { createHash } from "node:crypto";
import { appendFile, mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface ContainerLog {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** containerd splits longer lines into pieces of this size. */
const PIECE = 16 * 1024;

/** The log files of a node, in the format of containerd and the kubelet. */
export class NodeLogs {
  readonly #folder: string;
  readonly #containers: string;

  /** The agent reads the folder `containers`, which has links to the files in `folder`. */
  constructor(folder: string, containers: string) {
    this.#folder = join(folder, "pods");
    this.#containers = containers;
  }

  /** Creates the log of a container. */
  async create(log: ContainerLog): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await mkdir(this.#containers, { recursive: true });
    await writeFile(this.#file(log), "");
    const id = createHash("sha256").update(JSON.stringify(log)).digest("hex");
    const { pod, namespace, container } = log;
    const link = join(this.#containers, `${pod}_${namespace}_${container}-${id}.log`);
    await symlink(this.#file(log), link);
  }

  /** Appends lines. */
  async write(log: ContainerLog, lines: readonly string[], stream = "stdout"): Promise<void> {
    await appendFile(this.#file(log), lines.map((line) => criLines(line, stream)).join(""));
  }

  /** Appends a line of raw bytes, after CRI's prefix. */
  async writeBytes(log: ContainerLog, line: Buffer): Promise<void> {
    const head = Buffer.from(`${new Date().toISOString()} stdout F `);
    await appendFile(this.#file(log), Buffer.concat([head, line, Buffer.from("\n")]));
  }

  /** Renames the file and creates a new one, as the kubelet does at 10 MiB. */
  async rotate(log: ContainerLog): Promise<void> {
    await rename(this.#file(log), `${this.#file(log)}.${Date.now()}`);
    await writeFile(this.#file(log), "");
  }

  #file({ namespace, pod, container }: ContainerLog): string {
    return join(this.#folder, `${namespace}_${pod}_${container}.0.log`);
  }
}

function criLines(line: string, stream: string): string {
  const now = new Date().toISOString().replace("Z", "123456Z");
  const pieces = line.match(new RegExp(`[^]{1,${PIECE}}`, "g")) ?? [""];
  return pieces
    .map((piece, index) => `${now} ${stream} ${index < pieces.length - 1 ? "P" : "F"} ${piece}\n`)
    .join("");
}
