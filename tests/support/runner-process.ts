import { Runner } from "../../automation/operations/runner.ts";
import { Store } from "../../automation/store/store.ts";

// Runs operations like a replica of the service, on the database of DATABASE_URL.
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const program = process.env["RUNNER_PROGRAM"];
const runner = new Runner({ store: new Store(), log: silent, ...(program && { program }) });
await runner.start();
process.send?.("ready");
process.on("message", () => {
  void runner.stop({ deadline: 1_000 }).then(() => process.exit(0));
});
