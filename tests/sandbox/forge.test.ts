import assert from "node:assert/strict";
import { givenForge } from "../../sandbox/forge.ts";

const GITEA = { GITEA_URL: "https://gitea.example.com", GITEA_TOKEN: "g" };
const WOODPECKER = { WOODPECKER_URL: "https://ci.example.com", WOODPECKER_TOKEN: "w" };

describe("the forge that a sandbox is given", () => {
  it("is a Woodpecker and the Gitea that it is connected to", () => {
    assert.deepEqual(givenForge({ ...GITEA, ...WOODPECKER }), {
      gitea: { url: "https://gitea.example.com", token: "g" },
      woodpecker: { url: "https://ci.example.com", token: "w" },
    });
  });

  it("is none without WOODPECKER_URL", () => {
    assert.equal(givenForge(GITEA), undefined);
  });

  it("is refused without its Gitea, with the name of every missing variable", () => {
    assert.throws(() => givenForge(WOODPECKER), {
      code: "RDEV_CONNECTION",
      message: /GITEA_URL[^]*GITEA_TOKEN/,
    });
  });
});
