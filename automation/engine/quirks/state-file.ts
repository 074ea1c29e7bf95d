/**
 * Reading a stack's state takes a command of the CLI.
 *
 * Reason: the CLI has no server, so each command starts a process of about 100 MB for 0.2 to 0.5 s. An
 * operation reads its own state and its platform's.
 * Workaround: in a backend of files, the state is read from the stack's file. Only the CLI writes it, by
 * a rename, so a reader never finds half a file. Whatever is not exactly as expected is left to the CLI:
 * other backends, compressed files, other versions.
 * Upstream: `projectReferenceStore` and `getCheckpoint` in pkg/backend/diy have the layout, which no
 * document promises.
 * Seen in: Pulumi 3.259.0.
 * Remove it when: the contract test (state-file.sandbox.test.ts) fails, because the file differs from
 * the answer of `pulumi stack export`.
 */
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { pulumiVariables } from "../../../core/connections.ts";

const layout = z.looseObject({ version: z.literal(1) });
const project = z.looseObject({ name: z.string().regex(/^[\w.-]+$/) });
const file = z.looseObject({
  version: z.literal(3),
  checkpoint: z.looseObject({ latest: z.looseObject({}) }),
});

/** The file's content in the form of `pulumi stack export`. */
interface StoredState {
  readonly version: 3;
  readonly deployment: Readonly<Record<string, unknown>>;
}

/** "missing" if there is no such stack; undefined if only the CLI can tell. */
export async function storedState(
  stack: string,
  workDir: string,
): Promise<StoredState | "missing" | undefined> {
  const path = await statePath(stack, workDir).catch(() => undefined);
  if (path === undefined || (await exists(`${path}.gz`)) || (await exists(`${path}.zst`))) {
    return undefined;
  }
  try {
    const found = file.parse(JSON.parse(await readFile(path, "utf8")));
    return { version: found.version, deployment: found.checkpoint.latest };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "missing" : undefined;
  }
}

/** Rejects or returns undefined for another backend or layout. */
async function statePath(stack: string, workDir: string): Promise<string | undefined> {
  const { backend = "" } = pulumiVariables();
  if (!backend.startsWith("file:///")) return undefined;
  const folder = join(fileURLToPath(backend), ".pulumi");
  const [meta, settings] = await Promise.all([
    readFile(join(folder, "meta.yaml"), "utf8"),
    readFile(join(workDir, "Pulumi.yaml"), "utf8"),
  ]);
  layout.parse(parse(meta));
  return join(folder, "stacks", project.parse(parse(settings)).name, `${stack}.json`);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
