import assert from "node:assert/strict";
import { commandFailure, toError } from "../../../automation/engine/messages.ts";

const LOCKED =
  "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end " +
  "or delete the lock file with `pulumi cancel`.\n" +
  "  file:///state/.pulumi/locks/organization/rdev/staging/4a7e.json?no_tmp_dir=true: " +
  "created by alice@build-1 (pid 17632) at 2026-11-23T21:02:23Z\n";

describe("toError", () => {
  it("takes the code out of the message, wherever it is", () => {
    assert.deepEqual(toError("creating x: RDEV_REFUSED: it said no", "urn:x"), {
      code: "RDEV_REFUSED",
      urn: "urn:x",
      message: "it said no",
    });
  });

  it("recognises refused credentials in the words of the plugin for Kubernetes", () => {
    const message = "the server has asked for the client to provide credentials";
    assert.equal(toError(message).code, "RDEV_UNAUTHORIZED");
  });

  it("leaves a code that it does not know in the message", () => {
    assert.deepEqual(toError("RDEV_NONSENSE: no"), { message: "RDEV_NONSENSE: no" });
  });
});

describe("commandFailure", () => {
  const failure = (stderr: string, isGone = () => false) =>
    commandFailure(stderr, "staging", ["hunter2"], isGone);

  it("names the holder of a lock and the remedy", () => {
    const { code, message } = failure(LOCKED);
    assert.equal(code, "RDEV_ENGINE");
    assert.match(message, /since 2026-11-23T21:02:23Z by alice@build-1, process 17632\. Wait/);
    assert.match(message, /pulumi cancel staging/);
  });

  it("says that the holder of a lock no longer runs", () => {
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

  it("reports an unreachable backend without its password", () => {
    const { code, message } = failure(
      'error: unable to open state database "postgres://u:hunter2@h/x": connection refused',
    );
    assert.equal(code, "RDEV_UNREACHABLE");
    assert.match(message, /u:\[secret\]@h.*connection refused/);
  });

  it("passes on the error lines of the CLI, and nothing else", () => {
    const { code, message } = failure("Updating (staging):\nerror: no hunter2\nDuration: 1s\n");
    assert.equal(code, "RDEV_ENGINE");
    assert.equal(message, "no [secret]");
  });
});
