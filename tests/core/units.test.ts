import assert from "node:assert/strict";
import { amount } from "../../core/quantity.ts";
import { quantity, spanMs } from "../../core/units.ts";

describe("quantity", () => {
  it("compares by number, whatever the unit", () => {
    const inOrder = ["0", "1m", "0.5", "999m", "1", "1k", "1Ki", "1M", "1Mi", "1.5Mi", "1G", "1Gi"];
    const numbers = inOrder.map(amount);
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
    );
    assert.equal(amount("1000m"), amount("1"));
    assert.equal(amount("1024Mi"), amount("1Gi"));
  });

  it("refuses text that is not a Kubernetes quantity", () => {
    for (const text of ["", "Mi", "1Mb", "-1", "1 Gi", "1e3"]) {
      assert.equal(quantity.safeParse(text).success, false, text);
      assert.equal(amount(text), Number.NaN, text);
    }
  });
});

describe("spanMs", () => {
  it("converts seconds, minutes, hours and days", () => {
    assert.deepEqual(
      ["30s", "30m", "1h", "7d"].map(spanMs),
      [30_000, 1_800_000, 3_600_000, 604_800_000],
    );
    for (const wrong of ["", "1", "h", "0h", "-1h", "1.5h", "1y", "1h ", "9999999d"]) {
      assert.equal(spanMs(wrong), undefined, wrong);
    }
  });
});
