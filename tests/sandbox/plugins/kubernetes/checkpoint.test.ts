import assert from "node:assert/strict";
import {
  checkpoint,
  fieldManagerIn,
  importedInputs,
  inputsIn,
  liveIn,
  objectOf,
  refreshedInputs,
} from "../../../../sandbox/plugins/kubernetes/checkpoint.ts";
import { hasSecret, reveal, secret, type Properties } from "../../../../sandbox/plugins/values.ts";

const SECRET = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" } };
const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("checkpoint of an object", () => {
  it("holds the live object, the inputs and the field manager", () => {
    const inputs = { apiVersion: "v1", kind: "ConfigMap", data: { a: "1" } };
    const live = { ...inputs, metadata: { name: "x", uid: "u" } };
    const outputs = checkpoint(inputs, live, "manager");
    assert.deepEqual(liveIn(outputs), live);
    assert.deepEqual(inputsIn(outputs), inputs);
    assert.equal(fieldManagerIn(outputs), "manager");
  });

  it("marks a Secret's data secret, although the program did not", () => {
    const inputs = { ...SECRET, stringData: { key: "plain" } };
    const outputs = checkpoint(inputs, { ...SECRET, data: { key: base64("plain") } }, "m");
    assert.deepEqual(outputs["data"], secret({ key: base64("plain") }));
    assert.deepEqual(inputsIn(outputs)["stringData"], secret({ key: "plain" }));
  });

  it("marks any other value secret where its input is", () => {
    const inputs = { kind: "ConfigMap", data: { a: secret("s"), b: "p" } };
    const outputs = checkpoint(inputs, { kind: "ConfigMap", data: { a: "s", b: "p" } }, "m");
    assert.deepEqual(outputs["data"], { a: secret("s"), b: "p" });
  });

  it("sends what the program gave, without nulls and what only the server sets", () => {
    const inputs = { metadata: { name: "x", uid: "u", labels: null }, data: { a: secret("s") } };
    assert.deepEqual(objectOf(inputs), { metadata: { name: "x" }, data: { a: "s" } });
  });

  it("makes inputs of an imported object", () => {
    const live = { ...SECRET, data: { a: "eA==" }, status: {} };
    const imported = importedInputs({ ...live, metadata: { name: "s", uid: "u", generation: 1 } });
    assert.deepEqual(imported, { ...SECRET, data: secret({ a: "eA==" }) });
  });
});

describe("inputs after a refresh", () => {
  const inputs: Properties = {
    metadata: { name: "x", labels: { app: "x" } },
    spec: { cpu: "0.5", list: [{ name: "a", image: "one" }], empty: {} },
  };
  const before: Properties = {
    metadata: { name: "x", uid: "u", labels: { app: "x" }, resourceVersion: "1" },
    spec: { cpu: "500m", list: [{ name: "a", image: "one", policy: "Always" }] },
    status: { ready: false },
  };
  const changed = (change: (live: Properties) => void): Properties => {
    const live = structuredClone(before);
    change(live);
    return refreshedInputs(inputs, before, live);
  };
  const at = (object: Properties, name: string): Properties => object[name] as Properties;

  it("stay as they are where only the server's own fields changed", () => {
    const same = changed((live) => {
      at(live, "metadata")["resourceVersion"] = "2";
      at(live, "status")["ready"] = true;
      at(live, "metadata")["annotations"] = { of: "another" };
    });
    assert.deepEqual(same, inputs);
  });

  it("follow a changed value, a changed item and a deleted one", () => {
    const drifted = changed((live) => {
      at(live, "spec")["cpu"] = "1";
      at(live, "spec")["list"] = [{ name: "a", image: "two", policy: "Always" }];
      at(live, "metadata")["labels"] = {};
    });
    assert.deepEqual(drifted, {
      metadata: { name: "x", labels: {} },
      spec: { cpu: "1", list: [{ name: "a", image: "two" }], empty: {} },
    });
  });

  it("follow an item that was removed, and do not see one that was added, as the official plugin", () => {
    const extra = { name: "b", image: "three" };
    const more = changed((live) => {
      at(live, "spec")["list"] = [{ name: "a", image: "one", policy: "Always" }, extra];
    });
    assert.deepEqual(at(more, "spec")["list"], [{ name: "a", image: "one" }]);
    const inserted = changed((live) => {
      at(live, "spec")["list"] = [extra, { name: "a", image: "one", policy: "Always" }];
    });
    assert.deepEqual(at(inserted, "spec")["list"], [extra]);
    const less = changed((live) => {
      at(live, "spec")["list"] = [];
    });
    assert.deepEqual(at(less, "spec")["list"], []);
  });

  it("follow a Secret's data as text, and stay secret", () => {
    const given = { ...SECRET, stringData: secret({ key: "old", same: "s" }) };
    const was = { ...SECRET, data: { key: base64("old"), same: base64("s") } };
    const now = { ...SECRET, data: { key: base64("new"), same: base64("s") } };
    assert.deepEqual(refreshedInputs(given, was, was), given);
    const refreshed = refreshedInputs(given, was, now);
    assert.equal(hasSecret(refreshed["stringData"]), true);
    assert.deepEqual(reveal(refreshed["stringData"] ?? null), { key: "new", same: "s" });
  });
});
