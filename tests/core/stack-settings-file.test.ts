import assert from "node:assert/strict";
import { parse } from "yaml";
import { haveSameConfig, settingsFileText } from "../../core/stack-settings-file.ts";

describe("a settings file", () => {
  it("has lists and maps as a person would write them, and every other value as text", () => {
    const text = settingsFileText({
      "rdev:workloads": '[{"kind":"Deployment","name":"api"}]',
      "rdev:service": '{"image":"r.test/rdev-infra:1","replicas":2}',
      "rdev:dnsTtl": "300",
      "rdev:domain": "staging.example.test",
      "rdev:broken": "[not json",
    });
    assert.deepEqual(parse(text), {
      config: {
        "rdev:broken": "[not json",
        "rdev:dnsTtl": "300",
        "rdev:domain": "staging.example.test",
        "rdev:service": { image: "r.test/rdev-infra:1", replicas: 2 },
        "rdev:workloads": [{ kind: "Deployment", name: "api" }],
      },
    });
  });

  const FILE = "config:\n  rdev:dnsTtl: 300\n  rdev:service: { image: a, host: b }\n";

  it("is the same to its stack with comments, another order and a salt", () => {
    const other =
      "# by hand\nencryptionsalt: v1:x\nconfig:\n" +
      '  rdev:service:\n    host: b\n    image: a\n  rdev:dnsTtl: "300"\n';
    assert.ok(haveSameConfig(FILE, other));
    assert.ok(haveSameConfig("config: {}\n", "encryptionsalt: v1:x\n"));
  });

  it("is another one if a value differs, is missing or cannot be read", () => {
    for (const other of [
      FILE.replace("300", "301"),
      FILE.replace("host: b", "host: c"),
      "config: {}\n",
      "config: [\n",
      "",
    ]) {
      assert.ok(!haveSameConfig(FILE, other), other);
      assert.ok(!haveSameConfig(other, FILE), other);
    }
    assert.ok(!haveSameConfig("config: [\n", "config: [\n"));
  });
});
