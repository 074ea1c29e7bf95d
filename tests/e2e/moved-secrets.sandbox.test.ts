import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { makeWorkFolder } from "../../automation/engine/folders.ts";
import { preview } from "../../automation/engine/stack.ts";
import { NO_CHANGES } from "../../core/operation.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { applicationEnvironment } from "../../sandbox/proofs/project.ts";
import { runCli } from "../cli/run-cli.ts";
import { filesUnder, leaksIn, Secrets } from "../support/leaks.ts";
import { platformStage, projects, succeeded } from "../support/stage.ts";
import { startTransit } from "../support/transit.ts";
import { variable, withVariables } from "../support/variables.ts";

describe("the secrets of a real platform and project", function () {
  this.timeout(400_000);
  const project = projects();

  it("move to a key: previews without the passphrase find nothing to change", async () => {
    const { workDir } = await platformStage();
    const shop = await project();
    succeeded(await shop.up());
    const folder = await mkdtemp(join(tmpdir(), "rdev-moved-"));
    const transit = await startTransit();
    try {
      // Copies of the two states and files, so that other tests keep theirs. Their locks stay behind.
      const states = join(folder, "states");
      const copied = [PLATFORM, shop.stack].map((stack) => `${stack}.json`);
      await cp(new URL(variable("PULUMI_BACKEND_URL")).pathname, states, {
        recursive: true,
        filter: (path) =>
          !path.includes("/.pulumi/locks/") &&
          (!/\/\.pulumi\/stacks\/[^/]+\/[^/]+$/.test(path) || copied.includes(basename(path))),
      });
      const copy = await makeWorkFolder(join(folder, "work"));
      for (const name of (await readdir(workDir)).filter((each) => /^Pulumi\./.test(each))) {
        await cp(join(workDir, name), join(copy, name));
      }
      const variables = {
        ...transit.variables,
        PULUMI_BACKEND_URL: `file://${states}?metadata=skip`,
        DATABASE_URL: undefined,
      };
      const args = ["secrets", "move", PLATFORM, "--to", transit.key, "--work-dir", copy];
      const { code, stdout, stderr } = await runCli(args, { variables });
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`^${shop.stack}: moved from passphrase to`, "m"));

      await withVariables({ ...variables, PULUMI_CONFIG_PASSPHRASE: undefined }, async () => {
        for (const stack of [PLATFORM, shop.stack]) {
          const { errors, changes } = await preview(stack, { workDir: copy });
          assert.deepEqual([errors, { ...changes, same: 0 }], [[], NO_CHANGES]);
        }
      });
      const { DATABASE_URL = "", REDIS_URL = "" } = await applicationEnvironment(shop.stage());
      const secrets = new Secrets({
        database: new URL(DATABASE_URL).password,
        cache: new URL(REDIS_URL).password,
        token: transit.variables.VAULT_SERVER_TOKEN,
      });
      assert.deepEqual(await leaksIn(filesUnder(states), secrets), []);
    } finally {
      await transit.stop();
      await rm(folder, { recursive: true });
    }
  });
});
