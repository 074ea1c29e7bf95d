import { fileURLToPath } from "node:url";

/** The package: here plugins find node_modules, and Pulumi its settings. */
export const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));
