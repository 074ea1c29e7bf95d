import type { ChildProcess } from "node:child_process";
import { PLATFORM } from "../../sandbox/platform.ts";
import { type Ran, runCli, type RunOptions } from "../cli/run-cli.ts";

/** `rdev-infra service` as a process, on a free port. */
export interface ServiceProcess {
  readonly url: string;
  /** Sends SIGTERM, and waits until the process has ended. */
  stop(): Promise<Ran>;
}

/** Resolves when the service serves requests. Rejects with what it prints if it ends before. */
export async function startService({
  variables,
  ...options
}: Omit<RunOptions, "onOutput">): Promise<ServiceProcess> {
  let child: ChildProcess | undefined;
  let run: Promise<Ran> | undefined;
  const url = await new Promise<string>((resolve, reject) => {
    run = runCli(["service"], {
      ...options,
      variables: { RDEV_INFRA_PLATFORM: PLATFORM, RDEV_INFRA_LISTEN: "127.0.0.1:0", ...variables },
      onOutput(stdout, running) {
        child = running;
        const found = /serves \S+ at (http:\S+?)"/.exec(stdout)?.[1];
        if (found) resolve(found);
      },
    });
    run.then(({ stderr }) => reject(new Error(stderr)), reject);
  });
  return {
    url,
    async stop() {
      child?.kill("SIGTERM");
      return run!;
    },
  };
}
