import assert from "node:assert/strict";
import { typeText } from "../../core/resource-type.ts";

describe("typeText", () => {
  it("shortens a type to who makes it and what it is", () => {
    assert.equal(typeText("pulumi-nodejs:dynamic/gitea:Repository"), "gitea:Repository");
    assert.equal(typeText("kubernetes:apps/v1:Deployment"), "kubernetes:Deployment");
    assert.equal(typeText("random:index/randomPassword:RandomPassword"), "random:RandomPassword");
  });
});
