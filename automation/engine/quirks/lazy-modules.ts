/**
 * Pulumi's SDK loads TypeScript's compiler and npm's dependency reader into every process.
 *
 * Reason: it needs them to turn functions into text, for dynamic providers and callbacks in a program.
 * No program of this package has any, but the SDK loads them with itself: 430 modules, a
 * quarter of a second of CPU and 40 MiB.
 * Workaround: a stand-in for each takes its place in Node's cache of modules. It loads the module when
 * something reads a property of it. Import this file before anything that imports the SDK.
 * Upstream: https://github.com/pulumi/pulumi/pull/10185 removed one such import of TypeScript; the one
 * in the closure serializer is still there.
 * Seen in: @pulumi/pulumi 3.259.0.
 * Remove it when: the contract test in tests/automation/engine/quirks fails, because the SDK loads them
 * only when needed.
 */
import { createRequire, Module } from "node:module";

/** What the SDK loads and only its closure serializer uses. */
const MODULES = ["typescript", "@npmcli/arborist"] as const;

const require = createRequire(createRequire(import.meta.url).resolve("@pulumi/pulumi"));

for (const name of MODULES) {
  const path = resolvePath(name);
  if (path !== undefined && !require.cache[path]) require.cache[path] = standIn(path);
}

/** Undefined for an optional module that is not installed. */
function resolvePath(name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}

function standIn(path: string): NodeJS.Module {
  const module = new Module(path);
  module.filename = path;
  module.loaded = true;
  let loaded: object | undefined;
  const load = () => {
    if (loaded) return loaded;
    delete require.cache[path];
    loaded = require(path) as object;
    return loaded;
  };
  module.exports = new Proxy(
    {},
    {
      // The SDK's compiled code asks this of each module that it imports.
      get: (_target, key) => key === "__esModule" || (Reflect.get(load(), key) as unknown),
      has: (_target, key) => Reflect.has(load(), key),
    },
  );
  return module;
}
