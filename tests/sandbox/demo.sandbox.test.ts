import assert from "node:assert/strict";
import { execa } from "execa";

describe("npm run demo", function () {
  this.timeout(300_000);

  it("creates a platform and a project on its own sandbox, proves that they work, and leaves nothing", async () => {
    // Without the variables of the tests' sandbox.
    const { PATH, HOME } = process.env;
    const { exitCode, stdout, stderr } = await execa("npm", ["run", "--silent", "demo"], {
      env: { PATH, HOME },
      extendEnv: false,
      reject: false,
    });
    assert.equal(exitCode, 0, stderr);
    const steps = stdout.match(/^✔ .*(?= \d)/gm) ?? [];
    for (const step of ["POST /v1/projects", "Kubernetes shows it", "nothing is left"]) {
      assert.ok(
        steps.some((each) => each.includes(step)),
        stdout,
      );
    }
  });
});
