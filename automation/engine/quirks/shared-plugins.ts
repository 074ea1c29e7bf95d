/** Starts plugins once for all engines that preview. See plugin-proxy.ts for what makes that possible. */
import { processEnvironment } from "../../../core/connections.ts";
import { findPlugin, type PluginName, PLUGINS, startPlugin } from "../plugin-process.ts";
import { RUNNING_PLUGINS } from "./dynamic-plugin.ts";
import { startPluginProxy } from "./plugin-proxy.ts";

interface SharedPlugins {
  /** The variables that make an engine use these plugins. */
  readonly env: Readonly<Record<string, string>>;
  /** Resolves when no plugin runs any more. */
  close(): Promise<void>;
}

/** Starts the plugins that it can find. Each engine starts the others for itself, as usual. */
export async function startSharedPlugins(workDir: string): Promise<SharedPlugins> {
  const started = await Promise.all(
    PLUGINS.map(async (name) => {
      const program = await findPlugin(name, workDir);
      if (program === undefined) return undefined;
      const shared = await startShared(name, program, workDir).catch(() => undefined);
      return shared && { name, ...shared };
    }),
  );
  const running = started.filter((plugin) => plugin !== undefined);
  const addresses = running.map(({ name, port }) => `${name}:${port}`).join(",");
  return {
    env: addresses === "" ? {} : { [RUNNING_PLUGINS]: addresses },
    close: async () => {
      await Promise.all(running.map(({ close }) => close()));
    },
  };
}

async function startShared(name: PluginName, program: string, workDir: string) {
  // The others do not use their configuration.
  const proxy = await startPluginProxy(name === "kubernetes");
  try {
    const plugin = await startPlugin(program, {
      engine: `127.0.0.1:${proxy.port}`,
      cwd: workDir,
      env: processEnvironment(),
    });
    proxy.connect(`127.0.0.1:${plugin.port}`);
    const close = async () => {
      plugin.kill();
      proxy.close();
      await plugin.exited;
    };
    return { port: proxy.port, close };
  } catch (error) {
    proxy.close();
    throw error;
  }
}
