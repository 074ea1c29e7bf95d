#!/usr/bin/env node
// Plain JavaScript, so that a Node that cannot read TypeScript can still say what is wrong.
import { readFileSync } from "node:fs";
import module from "node:module";
import { join } from "node:path";

if (process.features.typescript) {
  keepCompiledCode();
  await import("./main.ts");
} else {
  const file = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  console.error(
    `RDEV_PREREQUISITE: rdev-infra needs Node ${JSON.parse(file).engines.node}, which reads TypeScript by ` +
      `itself; this is ${process.version}. In a checkout, npx rdev-infra runs it with the Node that npm ci brings.`,
  );
  process.exitCode = 1;
}

/**
 * Makes Node compile what rdev-infra and Pulumi's SDK import only once, also in workers and plugins,
 * which inherit the variable. Node's default folder is in the temporary one, where other users can
 * write.
 */
function keepCompiledCode() {
  // eslint-disable-next-line no-restricted-properties -- core/connections.ts would be compiled before
  const { env } = process;
  const caches = env.XDG_CACHE_HOME || (env.HOME && join(env.HOME, ".cache"));
  if (caches) env.NODE_COMPILE_CACHE ||= join(caches, "rdev-infra", "compiled");
  if (env.NODE_COMPILE_CACHE) module.enableCompileCache(env.NODE_COMPILE_CACHE);
}
