import { assertShown, demoSteps } from "../support/demo.ts";
import { skipWithoutNode } from "../support/node.ts";

describe("npm run demo -- --real-node", function () {
  this.timeout(900_000);

  before(async function () {
    await skipWithoutNode(this);
  });

  it("builds and runs a project's own code, uses it, rolls a commit out, and leaves nothing", async () => {
    assertShown(await demoSteps("--real-node"), [
      "its pipeline tests, builds, pushes and deploys it",
      "the page answers through its Service, with the project's own code",
      "a second commit rolls out without a refused request",
      "nothing is left",
    ]);
  });
});
