import { chown, mkdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Reaper } from "../../automation/processes/reaper.ts";
import { type Context, partFolder } from "../context.ts";
import { requireCommand, run } from "../process.ts";
import { cacheFolder } from "../tools.ts";
import type { Backend } from "../woodpecker/backend.ts";
import type { Programs } from "./counterparts.ts";
import { forward } from "./forward.ts";
import { localBackend } from "./local-backend.ts";

/** Not `nobody`, which runs PostgreSQL: the user that images often call `nonroot`. */
const USER = { uid: 65_532, gid: 65_532 };

const ROOT = join(import.meta.dirname, "..", "..");
/** Everything that `kaniko.ts` imports. */
const SOURCES = ["core", "providers", "sandbox", "package.json"];

/** How this machine reaches the module proxy; Go's own settings come from `go env`. */
const GO_SETTINGS = ["GOPROXY", "GOSUMDB", "GOFLAGS"];
const NETWORK = [
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
  ...["SSL_CERT_FILE", "SSL_CERT_DIR"],
];

export interface PipelineOptions {
  /** The path of `kubectl`. */
  readonly kubectl: string;
  /** The registry's host in the names of images, and the address of the sandbox's registry. */
  readonly registry: { readonly host: string; readonly url: string };
  /** The Kubernetes API as pipelines know it, and the address of the sandbox's. */
  readonly kubernetes: { readonly name: string; readonly url: string };
  /** Called with a function that closes a listener. */
  readonly atEnd: (close: () => Promise<void>) => void;
}

/**
 * Prepares the backend that runs pipelines as processes of this machine. In the steps, the platform's
 * names for the registry and the Kubernetes API lead to the sandbox's servers.
 * Errors: RDEV_PREREQUISITE for a missing program, or if this user may not listen on the API's port.
 */
export async function startLocalBackend(
  context: Pick<Context, "folder" | "reaper">,
  { kubectl, registry, kubernetes, atEnd }: PipelineOptions,
): Promise<Backend> {
  const folder = await partFolder(context, "pipelines");
  const { reaper } = context;
  const user = process.getuid?.() === 0 ? USER : undefined;
  const [bubblewrap, go, version, executor, forwarder] = await Promise.all([
    requireCommand("bwrap"),
    goToolchain(reaper, folder, user),
    kubectlVersion(reaper, folder, kubectl),
    writeExecutor(folder, registry),
    forward(new URL(kubernetes.name), new URL(kubernetes.url)),
  ]);
  atEnd(() => forwarder.close());
  const hosts = join(folder, "hosts");
  await writeFile(hosts, `127.0.0.1 localhost\n${forwarder.hostsLine}\n`, { mode: 0o644 });
  const programs = { go, kubectl: { path: await realpath(kubectl), version }, executor };
  return localBackend({ folder, reaper, bubblewrap, programs, hosts, user });
}

async function goToolchain(
  reaper: Reaper,
  folder: string,
  user: typeof USER | undefined,
): Promise<Programs["go"]> {
  const output = await run(reaper, await requireCommand("go"), ["env", "-json"], { folder });
  const settings = z.record(z.string(), z.string()).parse(JSON.parse(output));
  const { GOVERSION: version = "", GOROOT: root = "" } = settings;
  // Kept from one sandbox to the next, because compiling the standard library takes half a minute.
  const cache = join(cacheFolder(), "pipelines", "go");
  await mkdir(cache, { recursive: true, mode: 0o700 });
  if (user) await chown(cache, user.uid, user.gid);
  const given = { ...pick(settings, GO_SETTINGS), ...pick(process.env, NETWORK) };
  return { version, root, cache, environment: given };
}

/** The variables with these names that are not empty. */
function pick(variables: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = variables[name];
      return value ? [[name, value]] : [];
    }),
  );
}

async function kubectlVersion(reaper: Reaper, folder: string, kubectl: string) {
  const output = await run(reaper, kubectl, ["version", "--client", "--output=json"], { folder });
  const { clientVersion } = z
    .object({ clientVersion: z.object({ gitVersion: z.string() }) })
    .parse(JSON.parse(output));
  return clientVersion.gitVersion;
}

/** The program at /kaniko/executor: `kaniko.ts` on this process's Node. */
async function writeExecutor(
  folder: string,
  { host, url }: PipelineOptions["registry"],
): Promise<Programs["executor"]> {
  const path = join(folder, "executor");
  const main = join(import.meta.dirname, "kaniko.ts");
  const command = [process.execPath, main, `--push-to=${host}=${url}`].map((word) => `'${word}'`);
  await writeFile(path, `#!/bin/sh\nexec ${command.join(" ")} "$@"\n`, { mode: 0o755 });
  const modules = join(ROOT, "node_modules");
  return {
    path,
    mounts: [
      { from: await realpath(process.execPath), to: process.execPath },
      { from: await realpath(modules), to: modules },
      ...SOURCES.map((name) => ({ from: join(ROOT, name), to: join(ROOT, name) })),
    ],
  };
}
