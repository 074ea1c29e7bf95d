import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

const QUIRK = import.meta.resolve("../../../../automation/engine/quirks/lazy-modules.ts");
const TYPESCRIPT = "typescript/lib/typescript.js";
const ARBORIST = "@npmcli/arborist/lib/arborist/index.js";

/** Runs a module in a process of its own, and returns what it prints as JSON. */
function run(script: string): unknown {
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

/** Which of the two are loaded after the SDK, and after `more`. The cache does not tell it. */
const loadedAfter = (first: string, more = "") =>
  run(`
    import { registerHooks } from "node:module";
    const loaded = [];
    const wanted = ${JSON.stringify([TYPESCRIPT, ARBORIST])};
    registerHooks({ load(url, context, next) {
      const name = wanted.find((each) => url.endsWith("/node_modules/" + each));
      if (name) loaded.push(name);
      return next(url, context);
    } });
    ${first}
    const pulumi = (await import("@pulumi/pulumi")).default;
    let text = "";
    ${more}
    console.log(JSON.stringify({ loaded, text }));`);

describe("the modules that only the SDK's closure serializer uses", function () {
  this.timeout(60_000);
  const standIns = `await import(${JSON.stringify(QUIRK)});`;
  const serialize = 'text = (await pulumi.runtime.serializeFunction(() => "from a closure")).text;';

  it("are not loaded with the SDK", () => {
    assert.deepEqual(loadedAfter(standIns), { loaded: [], text: "" });
  });

  it("are loaded when the SDK needs them", () => {
    const { loaded, text } = loadedAfter(standIns, serialize) as { loaded: string[]; text: string };
    assert.deepEqual(loaded, [TYPESCRIPT]);
    assert.match(text, /from a closure/);
  });

  it("contract: are loaded by the SDK itself in every process", () => {
    const { loaded } = loadedAfter("") as { loaded: string[] };
    assert.deepEqual(loaded.toSorted(), [ARBORIST, TYPESCRIPT].toSorted());
  });
});
