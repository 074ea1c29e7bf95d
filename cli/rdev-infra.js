#!/usr/bin/env node
// Plain JavaScript, so that a Node that cannot read TypeScript can still say what is wrong.
import { readFileSync } from "node:fs";

if (process.features.typescript) {
  await import("./main.ts");
} else {
  const file = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  console.error(
    `RDEV_PREREQUISITE: rdev-infra needs Node ${JSON.parse(file).engines.node}, which reads TypeScript by ` +
      `itself; this is ${process.version}. In a checkout, npx rdev-infra runs it with the Node that npm ci brings.`,
  );
  process.exitCode = 1;
}
