import assert from "node:assert/strict";
import { endedProjects, type Known, nextStep } from "../../../automation/rollouts/decide.ts";
import { notBegun, type Operation } from "../../../core/operation.ts";
import { InfraError } from "../../../core/errors.ts";
import { rolloutRequest, type RolloutStackState } from "../../../core/rollout.ts";
import { OPERATION } from "../../support/fake-service.ts";

const project = (slug: string, wave: number, state: RolloutStackState): Known => ({
  row: { slug, wave, state },
  operation: undefined,
});

describe("the next step of a rollout", () => {
  const progress = {
    state: "running",
    wave: 1,
    wave_ended_at: null,
    request: rolloutRequest.parse({}),
  } as const;

  it("is a pause if all of a wave was held back and others follow, and else its end", () => {
    const held = project("app", 1, "held");
    const step = (...others: Known[]) => nextStep(progress, [held, ...others], 0).next;
    assert.equal(step(project("blog", 2, "planned")), "pause");
    assert.equal(step(), "end-wave");
    assert.equal(step(project("blog", 2, "held")), "end-wave");
    assert.equal(step(project("blog", 1, "succeeded"), project("c", 2, "planned")), "end-wave");
  });

  it("begins no more than may run at once, and waits for those that run", () => {
    const all = ["a", "b", "c"].map((slug) => project(slug, 1, "planned"));
    const request = rolloutRequest.parse({ atOnce: 2 });
    const next = (...known: Known[]) => nextStep({ ...progress, request }, known, 0);
    assert.deepEqual(next(...all), { next: "begin", slugs: ["a", "b"] });
    const running = [project("x", 1, "running"), project("y", 1, "running")];
    assert.deepEqual(next(...running, ...all), { next: "wait" });
  });
});

describe("the end of a project's operation", () => {
  const approved = { rollout: OPERATION.id, version: "1", fingerprint: "approved" };
  const finding = { rule: "database-lost", urn: "u", message: "its data is lost.", blocks: true };
  const plan = { fingerprint: "another", unchanged: 0, changes: [], findings: [finding] };

  it("names a loss of data only if that was not approved", () => {
    const code = (dataLoss: boolean) => {
      const operation: Operation = {
        ...OPERATION,
        request: {
          kind: "up",
          settings: {},
          onFailure: "keep",
          approved: { ...approved, dataLoss },
        },
        state: "failed",
        endedAt: new Date(1),
        outcome: { ...notBegun(new InfraError("RDEV_PLAN", "Another plan.")), plan },
      };
      const known = { row: { slug: "app", wave: 1, state: "running" }, operation } as const;
      return endedProjects([known], 60_000).map(({ state, reason }) => [state, reason?.code]);
    };
    assert.deepEqual(code(false), [["held", "data-loss"]]);
    assert.deepEqual(code(true), [["held", "plan-differs"]]);
  });
});
