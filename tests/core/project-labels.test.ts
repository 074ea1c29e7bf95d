import assert from "node:assert/strict";
import { labelsOf, projectLabels } from "../../core/project-labels.ts";
import { parseProjectConfig } from "../../core/settings.ts";
import { thrown } from "../support/errors.ts";

describe("the labels of a project", () => {
  it("are read from a text", () => {
    assert.deepEqual(labelsOf("team=shop"), { team: "shop" });
    assert.deepEqual(labelsOf("team=shop,example.com/tier=1"), {
      team: "shop",
      "example.com/tier": "1",
    });
    for (const text of [
      "",
      "team",
      "team=",
      "=shop",
      "team=a b",
      "team=a,",
      "Team=a",
      "a=b=c",
      "a=1,a=2",
      "__proto__=a",
    ]) {
      assert.equal(labelsOf(text), undefined, text);
    }
  });

  it("are at most 20", () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`label-${n}`, "a"]));
    assert.ok(projectLabels.safeParse(many(20)).success);
    assert.equal(projectLabels.safeParse(many(21)).success, false);
  });

  it("are a setting, whose error names the label", () => {
    const config = { labels: '{"team": "shop"}' };
    assert.deepEqual(parseProjectConfig(config), { labels: { team: "shop" } });
    const error = thrown("RDEV_SETTINGS", () => parseProjectConfig({ labels: '{"team": "a b"}' }));
    assert.match(error.message, /rdev:labels\.team: is not a label's value/);
  });
});
