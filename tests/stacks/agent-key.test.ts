import assert from "node:assert/strict";
import { agentKey } from "../../stacks/platform.ts";

const ADMIN = "ck_live_admin";
const AGENT = "ck_agent_ingest";

describe("agentKey", () => {
  const keyFor = (own: string | undefined, useManagementKey: boolean) => {
    const warnings: string[] = [];
    const citadel = { apiKey: ADMIN, agentKey: own ?? ADMIN, hasAgentKey: own !== undefined };
    const key = agentKey(citadel, { useManagementKey }, (message) => warnings.push(message));
    return { key, warnings };
  };

  it("returns CITADEL_AGENT_KEY without a warning", () => {
    for (const allowed of [false, true]) {
      assert.deepEqual(keyFor(AGENT, allowed), { key: AGENT, warnings: [] });
    }
  });

  it("refuses the management key, and the error contains no key", () => {
    for (const [own, problem] of [
      [undefined, /CITADEL_AGENT_KEY is not set/],
      [ADMIN, /CITADEL_AGENT_KEY is the same key as CITADEL_API_KEY/],
    ] as const) {
      assert.throws(
        () => keyFor(own, false),
        (error: Error & { code: string }) => {
          assert.equal(error.code, "RDEV_CONNECTION");
          assert.match(error.message, problem);
          assert.match(error.message, /rdev:agent \{"useManagementKey": true\}/);
          assert.ok(!error.message.includes(ADMIN));
          return true;
        },
      );
    }
  });

  it("returns the management key with a warning if the setting allows it", () => {
    const { key, warnings } = keyFor(undefined, true);
    assert.equal(key, ADMIN);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? "",
      /^CITADEL_AGENT_KEY is not set: .*rdev:agent\.useManagementKey/,
    );
    assert.ok(!warnings[0]?.includes(ADMIN));
  });
});
