import {
  argumentsOf,
  childrenOf,
  killProcess,
  processIds,
} from "../../automation/processes/processes.ts";

/** An engine that was killed. */
export interface Killed {
  /**
   * Kills the plugins that the engine started, which may complete their current requests otherwise.
   */
  killPlugins(): void;
}

/** Kills the engine that runs on a stack; undefined if there is none. */
export function killEngine(stack: string): Killed | undefined {
  const engine = processIds().find((pid) => {
    const [command = "", ...args] = argumentsOf(pid);
    return (
      command.endsWith("pulumi") &&
      args.some((word) => word === "up" || word === "destroy") &&
      args.includes(stack)
    );
  });
  if (engine === undefined) return undefined;
  const plugins = childrenOf(engine);
  process.kill(-engine, "SIGKILL");
  return { killPlugins: () => plugins.forEach(killProcess) };
}
