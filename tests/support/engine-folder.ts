import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";

const PROVIDER = `exports.handler = () => ({
  check: async (olds, news) => ({ inputs: news, failures: [] }),
  diff: async (id, olds, news) => ({
    changes: olds.size !== news.size || olds.place !== news.place,
    replaces: olds.place !== news.place ? ["place"] : [],
    deleteBeforeReplace: true,
  }),
  create: async (props) => {
    if (props.failure) throw Object.assign(new Error(props.failure), { name: "error" });
    await new Promise((resolve) => setTimeout(resolve, props.ms || 0));
    return { id: "1", outs: props };
  },
  update: async (id, olds, news) => ({ outs: news }),
  read: async (id, props) => {
    await new Promise((resolve) => setTimeout(resolve, props.readMs || 0));
    return { id, props };
  },
  delete: async () => {},
});`;

interface ThingProps {
  /** A change updates in place. */
  readonly size?: number;
  /** A change replaces. */
  readonly place?: string;
  /** Makes its create fail with this message. */
  readonly failure?: string;
  /** The duration of its create, in ms. */
  readonly ms?: number;
  /** The duration of its read, in ms. */
  readonly readMs?: number;
  readonly other?: pulumi.Input<string>;
}

/** A resource without an object on a server. */
export class Thing extends pulumi.CustomResource {
  constructor(name: string, props: ThingProps = {}) {
    super("pulumi-nodejs:dynamic/test:Thing", name, { ...props, __provider: PROVIDER });
  }
}

/** A folder for running the engine, with its own backend. */
export interface EngineFolder {
  readonly workDir: string;
  /** The backend's folder. */
  readonly state: string;
  /** The variables for Pulumi's CLI. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  remove(): Promise<void>;
}

export async function makeEngineFolder(): Promise<EngineFolder> {
  const folder = await mkdtemp(join(tmpdir(), "rdev-engine-"));
  const workDir = join(folder, "work");
  const state = join(folder, "state");
  await Promise.all([mkdir(workDir), mkdir(state)]);
  const modules = join(import.meta.dirname, "../../node_modules");
  await symlink(modules, join(workDir, "node_modules"));
  await writeFile(
    join(workDir, "Pulumi.yaml"),
    "name: rdev\nruntime: {name: nodejs, options: {typescript: false}}\n",
  );
  return {
    workDir,
    state,
    variables: {
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_CONFIG_PASSPHRASE: "of this test",
      PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
