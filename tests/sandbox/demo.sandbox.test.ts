import assert from "node:assert/strict";
import { execa } from "execa";

describe("npm run demo", function () {
  this.timeout(300_000);

  it("makes a platform and a project on a sandbox of its own, proves both, and leaves nothing", async () => {
    // Nothing of the sandbox that the tests run on.
    const { PATH, HOME } = process.env;
    const { exitCode, stdout, stderr } = await execa("npm", ["run", "--silent", "demo"], {
      ...{ env: { PATH, HOME }, extendEnv: false, reject: false },
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
