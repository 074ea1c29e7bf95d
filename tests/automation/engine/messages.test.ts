import assert from "node:assert/strict";
import { cleanMessage, commandFailure, toError } from "../../../automation/engine/messages.ts";

const LOCKED =
  "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end " +
  "or delete the lock file with `pulumi cancel`.\n" +
  "  file:///state/.pulumi/locks/organization/rdev/staging/4a7e.json?no_tmp_dir=true: " +
  "created by alice@build-1 (pid 17632) at 2026-11-23T21:02:23Z\n";

describe("cleanMessage", () => {
  const cases: [what: string, text: string, clean: string][] = [
    ["colours", "\u001b[31merror: \u001b[0mno\n", "no"],
    ["the engine's colour tags", "<{%fg 1%}>error: <{%reset%}>no", "no"],
    [
      "stack traces",
      "Unhandled exception: TypeError: x is not\n    at f (file:///a.ts:1:2)\n    at async g (/b.js:3:4)\n",
      "x is not",
    ],
    ["Node's error codes", "Unhandled exception: Error [ERR_X]: gone\n    at f (a:1:2)", "gone"],
    ["gRPC's words", "rpc error: code = Unknown desc = no", "no"],
    ["counts of one", "1 error occurred:\n\t* no\n\n", "no"],
    ["the URN, which the error has", "deleting urn:pulumi:s::rdev::a:b:C::n: no", "no"],
    [
      "values of properties that failed a check",
      "x:y:Z resource 'f': property password value {hunter2 {}} has a problem: is short",
      "x:y:Z resource 'f': property password: is short",
    ],
    ["that it failed", "update failed\n", ""],
    ["that it was cancelled", "update canceled\n", ""],
    [
      "what follows of another's failure",
      'error serializing property "spec": error serializing property "x": resource a [b:c:D] failed to register',
      "",
    ],
    ["where a plugin is", "using pulumi-resource-x from $PATH at /bin/x\n", ""],
  ];
  for (const [what, text, clean] of cases) {
    it(`takes out ${what}`, () => {
      assert.equal(cleanMessage(text, []), clean);
    });
  }

  it("keeps the lines of a list", () => {
    const text = "RDEV_SETTINGS: not as they should be:\n  - a is missing\n  - b is missing";
    assert.equal(cleanMessage(`error: ${text}\n`, []), text);
  });

  it("takes out secrets", () => {
    assert.equal(cleanMessage("no: hunter2", ["hunter2"]), "no: [secret]");
  });
});

describe("toError", () => {
  it("makes our code the error's, wherever it stands", () => {
    assert.deepEqual(toError("creating x: RDEV_REFUSED: it said no", "urn:x"), {
      code: "RDEV_REFUSED",
      urn: "urn:x",
      message: "it said no",
    });
  });

  it("knows the words of the plugin for Kubernetes for credentials that are refused", () => {
    const message = "the server has asked for the client to provide credentials";
    assert.equal(toError(message).code, "RDEV_UNAUTHORIZED");
  });

  it("leaves a code alone that is none of ours", () => {
    assert.deepEqual(toError("RDEV_NONSENSE: no"), { message: "RDEV_NONSENSE: no" });
  });
});

describe("commandFailure", () => {
  const failure = (stderr: string, isGone = () => false) =>
    commandFailure(stderr, "staging", ["hunter2"], isGone);

  it("says who holds a lock, and what to do", () => {
    const { code, message } = failure(LOCKED);
    assert.equal(code, "RDEV_ENGINE");
    assert.match(message, /since 2026-11-23T21:02:23Z by alice@build-1, process 17632\. Wait/);
    assert.match(message, /pulumi cancel staging/);
  });

  it("says when the holder of a lock no longer runs", () => {
    const { message } = failure(LOCKED, () => true);
    assert.match(message, /which no longer runs\. "pulumi cancel staging"/);
    assert.doesNotMatch(message, /Wait/);
  });

  it("says that a stack does not exist", () => {
    const { code, message } = failure("error: no stack named 'staging' found");
    assert.equal(code, "RDEV_ENGINE");
    assert.match(message, /"staging" does not exist.*rdev-infra up staging/);
  });

  for (const [text, variable] of [
    ["error: get stack secrets manager: passphrase must be set with", "PULUMI_CONFIG_PASSPHRASE"],
    ["error: get stack secrets manager: incorrect passphrase", "PULUMI_CONFIG_PASSPHRASE"],
    ["error: PULUMI_ACCESS_TOKEN must be set for login", "PULUMI_BACKEND_URL"],
  ] as const) {
    it(`names ${variable} for "${text}"`, () => {
      const { code, message } = failure(text);
      assert.equal(code, "RDEV_CONNECTION");
      assert.match(message, new RegExp(variable));
    });
  }

  it("says that the backend is not reached, without its password", () => {
    const { code, message } = failure(
      'error: unable to open state database "postgres://u:hunter2@h/x": connection refused',
    );
    assert.equal(code, "RDEV_UNREACHABLE");
    assert.match(message, /u:\[secret\]@h.*connection refused/);
  });

  it("passes on the errors of the command line, and nothing else", () => {
    const { code, message } = failure("Updating (staging):\nerror: no hunter2\nDuration: 1s\n");
    assert.equal(code, "RDEV_ENGINE");
    assert.equal(message, "no [secret]");
  });
});
