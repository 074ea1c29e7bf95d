import assert from "node:assert/strict";
import { ErrorCounts } from "../../../automation/logs/error-counts.ts";
import { InfraError } from "../../../core/errors.ts";
import type { QueryResult, Scope } from "../../../providers/citadel/port.ts";

describe("the counts of errors", () => {
  /** A Citadel with 3 errors in every environment. */
  function citadel(answer: () => Promise<void> = async () => undefined) {
    const asked: string[] = [];
    const query = async (scope: Scope, cpl: string): Promise<QueryResult> => {
      asked.push(`${JSON.stringify(scope)} ${cpl}`);
      await answer();
      return { entries: [], total: 3, durationMs: 1 };
    };
    return { asked, query };
  }

  it("ask for each environment once in 30 s, also for several lists at once", async () => {
    let now = 0;
    const { asked, query } = citadel();
    const counts = new ErrorCounts({ query }, { now: () => now });
    const [first] = await Promise.all([counts.of(["a", "b"]), counts.of(["b"])]);
    assert.deepEqual(
      [...first],
      [
        ["a", 3],
        ["b", 3],
      ],
    );
    now += 29_000;
    await counts.of(["a"]);
    assert.deepEqual(asked, ['{"tenant":"a"} level:error', '{"tenant":"b"} level:error']);
    now += 1_000;
    await counts.of(["a"]);
    assert.equal(asked.length, 3);
  });

  it("have at most 8 queries under way", async () => {
    let [running, most] = [0, 0];
    const { query } = citadel(async () => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running -= 1;
    });
    const tenants = Array.from({ length: 100 }, (_, at) => String(at));
    assert.equal((await new ErrorCounts({ query }).of(tenants)).size, 100);
    assert.equal(most, 8);
  });

  it("leave out what Citadel does not answer, and give it a rest after a failure", async () => {
    let now = 0;
    let isAway = true;
    const { asked, query } = citadel(async () => {
      if (isAway) throw new InfraError("RDEV_UNREACHABLE", "Citadel is away.");
    });
    const counts = new ErrorCounts({ query }, { now: () => now });
    assert.equal((await counts.of(["a"])).size, 0);
    isAway = false;
    now += 14_000;
    assert.equal((await counts.of(["a", "b"])).size, 0);
    assert.equal(asked.length, 1);
    now += 1_000;
    assert.equal((await counts.of(["a", "b"])).size, 2);
  });

  it("do not wait for a Citadel that hangs", async function () {
    this.timeout(60_000);
    const { query } = citadel(() => new Promise(() => undefined));
    assert.equal((await new ErrorCounts({ query }).of(["a"])).size, 0);
  });
});
