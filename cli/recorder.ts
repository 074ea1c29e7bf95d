import { Option } from "commander";
import type { Outcome } from "../automation/engine/outcome.ts";
import type { Recording } from "../automation/operations/recorded.ts";
import { connection, hasDatabase } from "../core/connections.ts";
import type { ProjectChanges } from "../core/settings.ts";
import { whoRuns } from "./who-runs.ts";
import { withStore } from "./with-store.ts";

export interface RecorderOptions {
  readonly actor: string;
}

type Recorder = (
  what: Omit<Recording, "store" | "actor">,
  run: (formerly?: ProjectChanges) => Promise<Outcome>,
) => Promise<Outcome>;

export function actorOption(): Option {
  return new Option("--actor <name>", "who does it, for the audit trail").default(whoRuns());
}

/**
 * Runs operations as `recorded` does, where DATABASE_URL names the database; else as they are. Throws
 * RDEV_CONNECTION before anything is shown.
 */
export function recorder({ actor }: RecorderOptions): Recorder {
  if (!hasDatabase()) return (_what, run) => run();
  connection("database");
  return (what, run) =>
    withStore(async (store) => {
      const { recorded } = await import("../automation/operations/recorded.ts");
      return recorded({ ...what, store, actor }, run);
    });
}
