import assert from "node:assert/strict";
import { DEFAULT_SIZES } from "../../../core/sizes.ts";
import { bearer, fakeService } from "../../support/fake-service.ts";

describe("what the service says about new projects", () => {
  it("lists the templates with their READMEs, and the default", async () => {
    const { app, key } = await fakeService();
    const answer = await app.inject({ url: "/v1/templates", headers: bearer(key("viewer")) });
    const { items } = answer.json<{
      items: { name: string; isDefault: boolean; readme: string }[];
    }>();
    assert.deepEqual(
      items.map(({ name, isDefault }) => ({ name, isDefault })),
      [{ name: "skeleton", isDefault: true }],
    );
    assert.match(items[0]?.readme ?? "", /^# \{\{PROJECT_NAME\}\}/);
  });

  it("gives the platform's sizes and ceilings, its own sizes included", async () => {
    const platform = { sizes: { ...DEFAULT_SIZES, cpuRequest: "32" }, maxSizes: { replicas: 3 } };
    const { app, key } = await fakeService({ sizes: async () => platform });
    const answer = await app.inject({ url: "/v1/sizes", headers: bearer(key("viewer")) });
    const { defaults, ceilings } = answer.json<Record<string, typeof DEFAULT_SIZES>>();
    assert.deepEqual(defaults, platform.sizes);
    assert.deepEqual(
      [ceilings?.replicas, ceilings?.cpuRequest, ceilings?.podQuota],
      [3, "32", 200],
    );
  });
});
