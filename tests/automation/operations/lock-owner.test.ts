import assert from "node:assert/strict";
import { hostname } from "node:os";
import { isHolderDead } from "../../../automation/operations/lock-owner.ts";
import { isProvedDead, thisRunner } from "../../../automation/operations/runner-identity.ts";

const NO_SUCH_PROCESS = 2 ** 22 + 1; // above Linux' greatest

describe("the holder of a stack's lock", () => {
  const now = () => new Date().toISOString();
  const holder = { user: "root", host: hostname(), pid: NO_SUCH_PROCESS, since: now() };
  const elsewhere = { ...thisRunner(), host: "other", machine: "another boot" };
  const attempt = { runner: elsewhere, startedAt: new Date(), engines: [4711] };
  const bucket = "s3://states";

  it("is dead when it was an engine of an attempt that is over, wherever it ran", () => {
    const theirs = { ...holder, host: "other", pid: 4711 };
    assert.equal(isHolderDead(theirs, [attempt], bucket), true);
    assert.equal(isHolderDead({ ...theirs, pid: 4712 }, [attempt], bucket), false);
    assert.equal(isHolderDead({ ...theirs, host: "third" }, [attempt], bucket), false);
    const earlier = { ...theirs, since: "2020-01-01T00:00:00Z" };
    assert.equal(isHolderDead(earlier, [attempt], bucket), false);
  });

  it("is alive as long as a process of its number, as old as the lock, runs here", () => {
    const ours = { ...attempt, runner: thisRunner(), engines: [process.pid] };
    const living = { ...holder, pid: process.pid };
    assert.equal(isHolderDead(living, [ours], bucket), false);
    assert.equal(isHolderDead(living, [], "file:///states"), false);
  });

  it("of a machine that only has this one's name is never taken for dead", () => {
    assert.equal(isHolderDead(holder, [], bucket), false);
    assert.equal(isHolderDead({ ...holder, host: "other" }, [], "file:///states"), false);
  });

  it("a runner is proved dead by its process alone, on its own machine", () => {
    const self = thisRunner();
    assert.equal(isProvedDead(self), false);
    if (self.machine === "") return; // not on Linux: nothing is proved there
    assert.equal(isProvedDead({ ...self, pid: NO_SUCH_PROCESS }), true);
    assert.equal(isProvedDead({ ...self, begun: "1" }), true);
    assert.equal(isProvedDead({ ...self, pid: NO_SUCH_PROCESS, machine: "another" }), false);
  });
});
