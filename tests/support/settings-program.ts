import { SettingsRecord } from "../../components/settings-record.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { ownSettings } from "../../stacks/own-settings.ts";
import { Thing } from "./engine-folder.ts";

/**
 * A program that starts from its settings as a project's does, and makes one object of them. A name
 * `fail=why` fails after that, `nothing=why` before anything is made.
 */
export default async function program(formerly?: ProjectChanges): Promise<Record<string, unknown>> {
  const settings = await ownSettings(formerly);
  const { name = "", sizes } = settings;
  const [word, value = ""] = name.split("=");
  if (word === "nothing") throw new Error(value);
  new SettingsRecord("settings", { settings });
  new Thing("thing", { size: sizes?.replicas ?? 1 });
  if (word === "fail") new Thing("bad", { failure: value });
  return { name };
}
