import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Ports } from "./ports.ts";
import type { Reaper } from "../automation/processes/reaper.ts";

/** Shows progress to a person: the part, and a few words. */
export type Report = (part: string, text: string) => void;

/** The arguments with which every part of the sandbox is started. */
export interface Context {
  /** The data folder. */
  readonly folder: string;
  readonly reaper: Reaper;
  readonly ports: Ports;
  readonly secrets: Secrets;
  readonly report: Report;
  /**
   * The URL under which pods reach a server of this machine. Without a real node, pods run nothing and
   * the URL stays as it is.
   */
  readonly forPods: (url: string) => Promise<string>;
}

/** A part of the local platform, for display. Contains no secret. */
export interface Part {
  readonly name: string;
  /** False for a stand-in. */
  readonly real: boolean;
  readonly version?: string;
  readonly address: string;
  /** How to reach it. Names the environment variables that hold the credentials. */
  readonly reach: string;
}

/** The passwords of this sandbox, collected so that displayed logs can be redacted. */
export interface Secrets extends Iterable<string> {
  /** Makes a secret of 32 hexadecimal digits, which need no quoting in URLs, config files and shells. */
  make(): string;
  add(secret: string): string;
}

export function createSecrets(): Secrets {
  const all = new Set<string>();
  const add = (secret: string) => {
    all.add(secret);
    return secret;
  };
  return {
    add,
    make: () => add(randomBytes(16).toString("hex")),
    [Symbol.iterator]: () => all.values(),
  };
}

/** Makes a part's own folder in the data folder, closed to other users. */
export async function partFolder(context: Pick<Context, "folder">, name: string): Promise<string> {
  const path = join(context.folder, name);
  await mkdir(path, { mode: 0o700 });
  return path;
}
