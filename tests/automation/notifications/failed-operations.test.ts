import assert from "node:assert/strict";
import { InfraError } from "../../../core/errors.ts";
import { notBegun, type OperationRequest } from "../../../core/operation.ts";
import { rejected } from "../../support/errors.ts";
import { done, type FleetStage, fleetStage } from "../../support/fleet-stage.ts";

const FAILURE = done({ outcome: notBegun(new InfraError("RDEV_UNREACHABLE", "Redis is away.")) });
const REFRESH = { kind: "refresh" } as const;

describe("the end of an operation", function () {
  this.timeout(60_000);
  let stage: FleetStage;

  before(async () => void (stage = await fleetStage()));
  after(() => stage.close());
  beforeEach(async () => {
    await stage.empty();
    await stage.project("shop");
  });

  const begin = async (request: OperationRequest) => {
    await stage.submit("shop", request);
    const [attempt] = await stage.take();
    assert.ok(attempt);
    return attempt;
  };
  const states = async () => (await stage.requests()).map(({ state }) => state);

  it("is announced if it failed, with what was done, by whom, and why", async () => {
    const attempt = await begin(REFRESH);
    await attempt.end(FAILURE);
    assert.deepEqual(await stage.events(), [
      {
        kind: "operation.failed",
        slug: "shop",
        operation: attempt.row.id,
        what: "refresh",
        actor: "ada",
        errors: [{ code: "RDEV_UNREACHABLE", message: "Nothing was done. Redis is away." }],
      },
    ]);
  });

  it("is not announced if it succeeded or was cancelled, nor if it is a preview", async () => {
    await (await begin(REFRESH)).end(done());
    const cancelled = { ...FAILURE.outcome, result: "cancelled" } as const;
    await (await begin(REFRESH)).end(done({ outcome: cancelled }));
    await (await begin({ kind: "preview", of: "up", settings: {} })).end(FAILURE);
    assert.deepEqual(await states(), ["succeeded", "cancelled", "failed"]);
    assert.deepEqual(await stage.events(), []);
  });

  it("is recorded with its announcement, or neither is", async () => {
    const attempt = await begin(REFRESH);
    await stage.admin("ALTER TABLE notifications ADD CONSTRAINT refused CHECK (false) NOT VALID");
    try {
      await rejected(attempt.end(FAILURE), /refused/);
      assert.deepEqual(await states(), ["running"]);
    } finally {
      await stage.admin("ALTER TABLE notifications DROP CONSTRAINT refused");
    }
    await attempt.end(FAILURE);
    assert.deepEqual(await states(), ["failed"]);
    assert.equal((await stage.events()).length, 1);
  });

  it("is announced only by the runner that owns the operation", async () => {
    const lost = await begin(REFRESH);
    await lost.handBack();
    await assert.rejects(lost.end(FAILURE));
    assert.deepEqual(await stage.events(), []);
  });
});
