import assert from "node:assert/strict";
import fc from "fast-check";
import { batchesOf, bodyOf, MAX_BODY } from "../../../providers/citadel/ingest.ts";

describe("batchesOf", () => {
  it("keeps the order and every event, respects both limits, and fills batches", () => {
    const events = fc.array(fc.string({ unit: "grapheme", maxLength: 40 }));
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 10 }), (texts, maxCount) => {
        const maxBytes = 400;
        const ready = texts.map((text, index) => ({ index, json: JSON.stringify({ text }) }));
        const batches = [...batchesOf(ready, maxCount, maxBytes)];
        assert.deepEqual(batches.flat(), ready);
        for (const [at, batch] of batches.entries()) {
          assert(batch.length > 0 && batch.length <= maxCount);
          const bytes = Buffer.byteLength(bodyOf(batch));
          assert(batch.length === 1 || bytes < maxBytes);
          const next = batches[at + 1]?.[0];
          const full =
            batch.length === maxCount ||
            (next && Buffer.byteLength(bodyOf([...batch, next])) + 1 >= maxBytes);
          assert(next === undefined || full);
        }
      }),
    );
  });

  it("counts bytes of UTF-8, not characters", () => {
    const event = { index: 0, json: JSON.stringify("€".repeat(1024 * 1024)) };
    const [first] = batchesOf([event, event], 100);
    assert.equal(first?.length, 1);
    assert(Buffer.byteLength(bodyOf(first)) < MAX_BODY);
  });
});
