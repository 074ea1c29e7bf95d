import type { ProjectChanges } from "../../core/settings.ts";
import { projectSettings } from "../../stacks/settings.ts";
import { Thing } from "./engine-folder.ts";
import before from "./settings-program.ts";

/** The version after settings-program.ts: it makes one object more. Its create is slow for `slow=ms`. */
export default async function program(formerly?: ProjectChanges): Promise<Record<string, unknown>> {
  const outputs = await before(formerly);
  const { name = "" } = await projectSettings(formerly);
  const [word, value] = name.split("=");
  new Thing("added", word === "slow" ? { ms: Number(value) } : {});
  return outputs;
}
