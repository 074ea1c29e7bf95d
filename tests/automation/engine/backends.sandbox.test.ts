import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { backendStacks } from "../../../automation/engine/backend-stacks.ts";
import { storedState } from "../../../automation/engine/quirks/state-file.ts";
import { destroy, preview, up } from "../../../automation/engine/stack.ts";
import { StackState } from "../../../automation/engine/state.ts";
import { NO_CHANGES, type OperationEvent } from "../../../core/operation.ts";
import { queryOnce } from "../../../sandbox/store-database.ts";
import { runCli } from "../../cli/run-cli.ts";
import { makeEngineFolder, Thing, type EngineFolder } from "../../support/engine-folder.ts";
import { startS3 } from "../../support/s3.ts";
import { variable, withVariables } from "../../support/variables.ts";

interface Backend {
  readonly variables: Readonly<Record<string, string>>;
  /** What no output may have. */
  readonly secrets: readonly string[];
  /** Makes the backend refuse the credentials. */
  readonly wrong: Readonly<Record<string, string>>;
  stop(): Promise<unknown>;
}

const BACKENDS: Readonly<Record<string, () => Promise<Backend>>> = {
  "s3://": async () => {
    const { variables, stop } = await startS3();
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = variables;
    const wrong = { AWS_SECRET_ACCESS_KEY: "planted-secret-key-4711" };
    return { variables, secrets: [id, secret, wrong.AWS_SECRET_ACCESS_KEY], wrong, stop };
  },
  "postgres://": async () => {
    const server = variable("POSTGRES_ADMIN_URL");
    const database = `pulumi_${randomBytes(6).toString("hex")}`;
    await queryOnce(server, `CREATE DATABASE ${database}`);
    const url = Object.assign(new URL(server), {
      pathname: `/${database}`,
      search: "sslmode=disable",
    });
    const wrong = Object.assign(new URL(url), { password: "planted-password-4711" });
    return {
      variables: { PULUMI_BACKEND_URL: url.href },
      secrets: [url.password, wrong.password],
      wrong: { PULUMI_BACKEND_URL: wrong.href },
      stop: () => queryOnce(server, `DROP DATABASE ${database} WITH (FORCE)`),
    };
  },
};

const platform = async () => {
  new Thing("a", { other: pulumi.secret("in the state") });
  return { settings: { domain: "example" } };
};

for (const [scheme, start] of Object.entries(BACKENDS)) {
  describe(`states in ${scheme}`, function () {
    this.timeout(300_000);
    let backend: Backend;
    let folder: EngineFolder;
    const stack = "east.shop";

    before(async () => {
      backend = await start();
      folder = await makeEngineFolder();
    });
    after(async () => {
      await backend.stop();
      await folder.remove();
    });

    const inFolder = <T>(work: (workDir: string) => Promise<T>) =>
      withVariables({ ...folder.variables, ...backend.variables }, () => work(folder.workDir));

    /** The outcome, in which no credential of the backend may be. */
    async function run<T>(work: (workDir: string) => Promise<T>): Promise<T> {
      const result = await inFolder(work);
      for (const secret of backend.secrets) assert.ok(!JSON.stringify(result).includes(secret));
      return result;
    }

    it("bring up a platform and a project, which reads the platform's settings", async () => {
      const first = await run((workDir) => up("east", { workDir, program: platform }));
      assert.deepEqual(first.errors, []);
      let settings: unknown;
      const program = async (_formerly: unknown, found: unknown) => {
        settings = found;
        new Thing("b");
        return {};
      };
      const made = await run((workDir) => up(stack, { workDir, program }));
      assert.deepEqual([made.errors, settings], [[], { domain: "example" }]);
      const again = await run((workDir) => preview(stack, { workDir, program }));
      assert.deepEqual([again.errors, { ...again.changes, same: 0 }], [[], NO_CHANGES]);
      const stacks = await inFolder((workDir) => backendStacks(workDir));
      assert.deepEqual(
        stacks.map((each) => each.stack),
        ["east", stack],
      );
    });

    it("are read with the CLI, because there is no file", async () => {
      await inFolder(async (workDir) => {
        assert.equal(await storedState(stack, workDir), undefined);
        assert.ok((await StackState.read(stack, workDir)).resources.length > 0);
        assert.equal(await StackState.find("east.none", workDir), undefined);
      });
    });

    it("refuse a second operation at the same time, and name the first", async () => {
      const program = async () => void new Thing("slow", { ms: 8_000 });
      const begun = Promise.withResolvers<void>();
      const onEvent = (event: OperationEvent) => {
        if ("name" in event && event.name === "slow") begun.resolve();
      };
      const first = inFolder((workDir) => up(stack, { workDir, program, onEvent }));
      await begun.promise;
      const second = await run((workDir) => destroy(stack, { workDir }));
      const [error] = second.errors;
      assert.equal(error?.code, "RDEV_ENGINE");
      assert.match(
        error.message,
        new RegExp(`^The stack "${stack}" has been locked since .* by .*, process \\d+\\.`),
      );
      assert.deepEqual((await first).errors, []);
    });

    it("are examined by doctor, which tells no credential", async () => {
      const variables = { ...folder.variables, ...backend.variables, CITADEL_ENABLED: "false" };
      const doctor = (more = {}) =>
        runCli(["doctor", "east", "--json", "--work-dir", folder.workDir], {
          variables: { ...variables, ...more },
        });
      const line = (text: string, check: RegExp) =>
        text.split("\n").find((each) => /"Pulumi"/.test(each) && check.test(each)) ?? "";
      const good = await doctor();
      assert.match(line(good.stdout, /holds/), /"ok".*holds 2 stacks/);
      assert.match(line(good.stdout, /opens/), /"ok".*passphrase opens the platform's/);
      assert.match(line(good.stdout, /locks/), /"skipped".*only a backend in file:/);
      const bad = await doctor(backend.wrong);
      assert.match(line(bad.stdout, /"check":"[^"]*backend/), /"failed"/);
      for (const secret of backend.secrets) {
        for (const text of [good.stdout, good.stderr, bad.stdout, bad.stderr]) {
          assert.ok(!text.includes(secret), text);
        }
      }
    });

    it("are gone after a destroy, the project's first", async () => {
      const early = await run((workDir) => destroy("east", { workDir, remove: true }));
      assert.equal(early.errors[0]?.code, "RDEV_IN_USE");
      for (const each of [stack, "east"]) {
        const gone = await run((workDir) => destroy(each, { workDir, remove: true }));
        assert.deepEqual(gone.errors, []);
      }
      assert.deepEqual(await inFolder((workDir) => backendStacks(workDir)), []);
    });
  });
}
