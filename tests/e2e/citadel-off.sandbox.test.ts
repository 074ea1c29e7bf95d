import assert from "node:assert/strict";
import { citadelLabelsOf, json } from "../../sandbox/proofs/project.ts";
import { projects, succeeded, unchanged } from "../support/stage.ts";
import { variable, withVariables } from "../support/variables.ts";

const OFF = {
  CITADEL_ENABLED: "false",
  CITADEL_URL: undefined,
  CITADEL_API_KEY: undefined,
  CITADEL_AGENT_KEY: undefined,
};

describe("a project without Citadel", function () {
  this.timeout(400_000);
  const project = projects();

  const tenants = async (slug: string) => {
    const headers = { authorization: `Bearer ${variable("CITADEL_API_KEY")}` };
    const url = `${variable("CITADEL_URL")}/api/v1/tenants?slug=${slug}`;
    return (await json<{ tenants: { id: string }[] }>(url, headers)).tenants.map(({ id }) => id);
  };

  it("comes up without an environment, gets one when Citadel is switched on, and then keeps it", async () => {
    const one = await project();
    const deployment = { kind: "Deployment", namespace: one.slug, name: one.slug };
    const labels = () => citadelLabelsOf(one.place, deployment);

    await withVariables(OFF, async () => {
      succeeded(await one.up());
      unchanged(await one.preview());
    });
    assert.deepEqual(await tenants(one.slug), []);
    assert.deepEqual(await labels(), { "citadel.io/service": one.slug });

    succeeded(await one.up());
    const made = await tenants(one.slug);
    assert.equal(made.length, 1);
    assert.equal((await labels())["citadel.io/environment"], made[0]);

    for (const operation of [one.preview, one.up]) {
      const { result, errors } = await withVariables(OFF, () => operation());
      assert.equal(result, "failed");
      assert.deepEqual(
        errors.map(({ code }) => code),
        ["RDEV_CITADEL_OFF"],
      );
      assert.match(errors[0]?.message ?? "", /Set CITADEL_ENABLED=true again/);
    }
    assert.deepEqual(await tenants(one.slug), made);

    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });
});
