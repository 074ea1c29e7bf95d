/** Puts the stand-in plugins where the engine looks for installed ones. */
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { sdkVersion } from "../../automation/engine/versions.ts";

/** The plugins of resources, by the package of their SDK. */
const RESOURCE_PLUGINS = ["kubernetes", "random", "command"] as const;

/**
 * Installs the stand-ins into a PULUMI_HOME, under the versions of the SDKs that the project depends
 * on. The engine warns of plugins that it finds on PATH, but not of installed ones.
 */
export async function installPlugins(pulumiHome: string): Promise<void> {
  for (const name of RESOURCE_PLUGINS) {
    const version = sdkVersion(name);
    const folder = join(pulumiHome, "plugins", `resource-${name}-v${version}`);
    await mkdir(folder, { recursive: true });
    const program = `pulumi-resource-${name}`;
    await rm(join(folder, program), { force: true });
    await symlink(join(import.meta.dirname, name, program), join(folder, program));
  }
}
