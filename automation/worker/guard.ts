import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("guard-main.ts", import.meta.url));

/**
 * A small process beside the service's, which ends all of its workers' processes and removes their
 * folders as soon as the service is gone: also after SIGKILL.
 */
export interface Guard {
  /** Does it now. */
  end(): Promise<void>;
}

export function startGuard(mark: string, folder: string): Guard {
  const child = spawn(process.execPath, [MAIN, mark, folder], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    env: {},
  });
  child.unref();
  child.on("error", () => undefined);
  child.stdin.on("error", () => undefined);
  return {
    async end() {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      child.ref();
      const exit = once(child, "exit");
      child.stdin.end();
      await exit;
    },
  };
}
