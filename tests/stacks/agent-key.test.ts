import assert from "node:assert/strict";
import { agentKey } from "../../stacks/platform.ts";

const ADMIN = "ck_live_admin";
const AGENT = "ck_agent_ingest";

describe("The agent's key", () => {
  const keyOf = (own: string | undefined, useManagementKey: boolean) => {
    const warnings: string[] = [];
    const citadel = { apiKey: ADMIN, agentKey: own ?? ADMIN, hasAgentKey: own !== undefined };
    const key = agentKey(citadel, { useManagementKey }, (message) => warnings.push(message));
    return { key, warnings };
  };

  it("is CITADEL_AGENT_KEY, without a warning", () => {
    for (const allowed of [false, true]) {
      assert.deepEqual(keyOf(AGENT, allowed), { key: AGENT, warnings: [] });
    }
  });

  it("is refused where it would be the key that manages environments, and the error has no key", () => {
    for (const [own, what] of [
      [undefined, /CITADEL_AGENT_KEY is not set/],
      [ADMIN, /CITADEL_AGENT_KEY is the same key as CITADEL_API_KEY/],
    ] as const) {
      assert.throws(
        () => keyOf(own, false),
        (error: Error & { code: string }) => {
          assert.equal(error.code, "RDEV_CONNECTION");
          assert.match(error.message, what);
          assert.match(error.message, /rdev:agent \{"useManagementKey": true\}/);
          assert.ok(!error.message.includes(ADMIN));
          return true;
        },
      );
    }
  });

  it("is the key that manages environments where the setting allows it, with a warning", () => {
    const { key, warnings } = keyOf(undefined, true);
    assert.equal(key, ADMIN);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? "",
      /^CITADEL_AGENT_KEY is not set: .*rdev:agent\.useManagementKey/,
    );
    assert.ok(!warnings[0]?.includes(ADMIN));
  });
});
