import type { ProjectChanges } from "../../core/settings.ts";
import { projectSettings, SettingsRecord } from "../../stacks/settings.ts";
import { Thing } from "./engine-folder.ts";

/**
 * A program that reads its settings like a project's program, and makes one object from them. With
 * the name `fail=why` it fails afterwards, with `nothing=why` before it makes anything.
 */
export default async function program(formerly?: ProjectChanges): Promise<Record<string, unknown>> {
  const settings = await projectSettings(formerly);
  const { name = "", sizes } = settings;
  const [word, value = ""] = name.split("=");
  if (word === "nothing") throw new Error(value);
  new SettingsRecord("settings", { settings });
  new Thing("thing", { size: sizes?.replicas ?? 1 });
  if (word === "fail") new Thing("bad", { failure: value });
  return { name };
}
