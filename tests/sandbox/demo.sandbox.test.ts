import { assertShown, demoSteps } from "../support/demo.ts";

describe("npm run demo", function () {
  this.timeout(300_000);

  it("creates a platform and a project on its own sandbox, proves that they work, and leaves nothing", async () => {
    assertShown(await demoSteps(), ["POST /v1/projects", "Kubernetes shows it", "nothing is left"]);
  });
});
