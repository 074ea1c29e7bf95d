import assert from "node:assert/strict";
import { amount, quantity } from "../../core/quantity.ts";

describe("a quantity", () => {
  it("is compared by the number that it stands for", () => {
    const inOrder = ["0", "1m", "0.5", "999m", "1", "1k", "1Ki", "1M", "1Mi", "1.5Mi", "1G", "1Gi"];
    const numbers = inOrder.map(amount);
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
    );
    assert.equal(amount("1000m"), amount("1"));
    assert.equal(amount("1024Mi"), amount("1Gi"));
  });

  it("is no other text", () => {
    for (const text of ["", "Mi", "1Mb", "-1", "1 Gi", "1e3"]) {
      assert.equal(quantity.safeParse(text).success, false, text);
      assert.equal(amount(text), Number.NaN, text);
    }
  });
});
