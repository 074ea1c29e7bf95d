import { mkdir, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { type Context, partFolder } from "./context.ts";
import type { Engine } from "./engine.ts";

const LOCAL_PROGRAMS = join(import.meta.dirname, "..", "node_modules", ".bin");

/** The variables for Pulumi's CLI, with this sandbox's own backend, home and passphrase. */
export async function pulumiEnvironment(
  context: Context,
  engine: Engine,
): Promise<Record<string, string>> {
  const folder = await partFolder(context, "pulumi");
  const state = join(folder, "state");
  const home = join(folder, "home");
  await Promise.all([mkdir(state), mkdir(home), mkdir(engine.pluginFolder, { recursive: true })]);
  await symlink(engine.pluginFolder, join(home, "plugins"));
  const allStandIns = engine.plugins.every(({ source }) => source === "stand-in");
  return {
    // Without attribute files: an engine that is killed while it writes one leaves a stack that
    // cannot be read ("failed to load checkpoint: EOF").
    PULUMI_BACKEND_URL: `file://${state}?metadata=skip`,
    PULUMI_CONFIG_PASSPHRASE: context.secrets.make(),
    PULUMI_HOME: home,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // Project stacks have no config file in the repository that could hold the encryption salt.
    PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true",
    ...(allStandIns && { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" }),
    // The repository's Node comes first, because the system's may be too old for the program.
    PATH: [LOCAL_PROGRAMS, ...engine.path, process.env.PATH].filter(Boolean).join(delimiter),
  };
}

/** Writes `env.sh`, which sets the variables and changes to the work folder. Returns its path. */
export async function writeEnvironmentFile(
  folder: string,
  environment: Readonly<Record<string, string>>,
  workFolder: string,
): Promise<string> {
  const path = join(folder, "env.sh");
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = Object.entries(environment).map(
    ([name, value]) => `export ${name}=${quoted(value)}\n`,
  );
  lines.push(`cd ${quoted(workFolder)}\n`);
  await writeFile(path, lines.join(""), { mode: 0o600 });
  return path;
}
