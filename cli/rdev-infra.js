#!/usr/bin/env node
// Plain JavaScript, so that a Node that cannot read TypeScript can still say what is wrong.
if (process.features.typescript) {
  await import("./main.ts");
} else {
  console.error(
    `RDEV_PREREQUISITE: rdev-infra needs Node 22.18 or newer; this is ${process.version}. ` +
      "In a checkout, npx rdev-infra runs it with the Node that npm ci brings.",
  );
  process.exitCode = 1;
}
