import { startEmbeddedPostgres } from "../../automation/store/embedded.ts";

// A service that a test kills. Its argument is the data folder.
await startEmbeddedPostgres(process.argv[2]);
process.send?.("ready");
setInterval(() => undefined, 1_000);
