import assert from "node:assert/strict";
import { previewVariables } from "../../../core/previews/variables.ts";

describe("the variables of a preview", () => {
  it("have no credential in an address, also not one in place of the user's name", () => {
    const found = previewVariables({
      GITEA_URL: "https://planted-token@git.example.test",
      REDIS_ADMIN_URL: "rediss://:planted-password@redis.example.test:6379",
      POSTGRES_ADMIN_URL: "postgres://admin:planted-password@db.example.test/postgres",
      CITADEL_URL: "https://citadel.example.test",
    });
    assert.doesNotMatch(JSON.stringify(found), /planted/);
    assert.match(found["POSTGRES_ADMIN_URL"] ?? "", /@db\.example\.test\/postgres$/);
    assert.equal(found["CITADEL_URL"], "https://citadel.example.test");
  });

  it("are only those that a preview needs, or that are named for it", () => {
    const found = previewVariables({
      PULUMI_BACKEND_URL: "postgres://owner@db.example.test/states",
      RDEV_INFRA_PREVIEW_PULUMI_BACKEND_URL: "postgres://reader@db.example.test/states",
      CITADEL_API_KEY: "ck_planted",
      DATABASE_URL: "postgres://planted@db.example.test/infra",
      RDEV_INFRA_FORGE_SECRET: "planted",
      NODE_OPTIONS: "--import=planted",
    });
    assert.deepEqual(found, {
      PULUMI_BACKEND_URL: "postgres://reader@db.example.test/states",
      CITADEL_API_KEY: "ck_not_for_previews",
      PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true",
    });
  });
});
