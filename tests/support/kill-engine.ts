import {
  argumentsOf,
  childrenOf,
  killProcess,
  processIds,
} from "../../automation/processes/processes.ts";

/** An engine that was killed. */
export interface Killed {
  /**
   * Kills the plugins that it had started. Pulumi's own for dynamic resources does not notice that
   * its engine is gone; what it was asked for, it finishes.
   */
  killPlugins(): void;
}

/** Kills the engine that works on a stack; undefined where none does. */
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
