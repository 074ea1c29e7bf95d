import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PACKAGE } from "../../automation/engine/folders.ts";
import type { Report } from "../context.ts";
import { cachedCli, type Engine, equip, findCli } from "../engine.ts";
import { entriesOf, type Entry } from "../images/layer.ts";
import { FAMILIES } from "../tool-families.ts";
import { buildTools } from "../tools.ts";
import { APP, PULUMI_HOME } from "./layout.ts";

/** The stand-ins' folder, also in the image. */
const STAND_INS = "sandbox/plugins";

/** The programs of the language host, which only the official CLI brings. */
const LANGUAGE_HOST = ["pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];

/** The CLI on PATH or in the cache, else one that is built, with the official plugins that can be had. */
export async function localEngine(report: Report): Promise<Engine> {
  return equip(await cliOf(report), { report });
}

/** An engine's CLI and plugins, where it looks for them in the image. */
export async function pulumiEntries(engine: Engine): Promise<Entry[]> {
  const hasStandIns = engine.path.length > 1;
  return [
    ...(await cliEntries(engine)),
    ...(await Promise.all(engine.plugins.map((each) => pluginEntries(each, engine)))).flat(),
    ...(hasStandIns ? await entriesOf(join(PACKAGE, STAND_INS), join(APP, STAND_INS)) : []),
  ];
}

async function cliOf(report: Report) {
  const found = (await findCli()) ?? (await cachedCli());
  if (found) return found;
  await buildTools({ pulumi: FAMILIES.pulumi }, { report });
  const built = await cachedCli();
  if (!built) throw new Error("Pulumi's CLI was built but cannot be found");
  return built;
}

async function cliEntries({ command }: Engine): Promise<Entry[]> {
  const folder = dirname(command);
  const programs = (await readdir(folder)).filter((name) => /^pulumi(-|$)/.test(name));
  const hasHost = LANGUAGE_HOST.every((name) => programs.includes(name));
  return [
    ...programs.map((name) => ({
      path: `${PULUMI_HOME}/bin/${name}`,
      source: join(folder, name),
      mode: 0o755,
    })),
    ...(hasHost ? [] : LANGUAGE_HOST.map((name) => standIn("nodejs", name, `bin/${name}`))),
  ];
}

/** A stand-in finds its own files from the target of the link. */
function standIn(plugin: string, program: string, path: string): Entry {
  return { path: `${PULUMI_HOME}/${path}`, link: `${APP}/${STAND_INS}/${plugin}/${program}` };
}

async function pluginEntries(
  { name, version, source }: Engine["plugins"][number],
  { pluginFolder }: Engine,
): Promise<Entry[]> {
  const folder = `resource-${name}-v${version}`;
  if (source === "official") {
    return entriesOf(join(pluginFolder, folder), `${PULUMI_HOME}/plugins/${folder}`);
  }
  const program = `pulumi-resource-${name}`;
  return [standIn(name, program, `plugins/${folder}/${program}`)];
}
