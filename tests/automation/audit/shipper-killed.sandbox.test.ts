import assert from "node:assert/strict";
import { verifyChain } from "../../../automation/audit/verify.ts";
import { startIngestRecorder } from "../../support/ingest-recorder.ts";
import { killShipperUnderLoad } from "../../support/kill-shipper.ts";
import { createTestStore } from "../../support/test-store.ts";

/** `npm run bench:citadel` uses 50. */
const KILLS = Number(process.env["RDEV_TEST_KILLS"] ?? 6);

describe("a killed audit shipper", () => {
  it(`loses no event, and resends events with the same id, after ${KILLS} kills`, async function () {
    this.timeout(60_000 + KILLS * 5_000);
    const test = await createTestStore();
    const citadel = await startIngestRecorder();
    try {
      const recorded = await killShipperUnderLoad({ test, citadel, kills: KILLS });
      assert.ok(recorded > KILLS);
      assert.equal((await verifyChain(test.store)).rows, recorded);
      const ids = [...citadel.events.keys()].sort((a, b) => a - b);
      assert.deepEqual(
        ids,
        Array.from({ length: recorded }, (_, index) => index + 1),
      );
      for (const [id, bodies] of citadel.events) {
        assert.equal(new Set(bodies).size, 1, `event ${id} was sent with different contents`);
      }
      // The keys are in the order of first arrival: no project had to wait.
      assert.deepEqual([...citadel.events.keys()], ids);
    } finally {
      await citadel.close();
      await test.drop();
    }
  });
});
