import assert from "node:assert/strict";
import { hostname } from "node:os";
import { isHolderDead } from "../../../automation/operations/lock-owner.ts";
import { isProvedDead, thisRunner } from "../../../automation/operations/runner-identity.ts";

const NO_SUCH_PROCESS = 2 ** 22 + 1; // above Linux's maximum

describe("isHolderDead", () => {
  const now = () => new Date().toISOString();
  const holder = { user: "root", host: hostname(), pid: NO_SUCH_PROCESS, since: now() };
  const elsewhere = { ...thisRunner(), host: "other", machine: "another boot" };
  const attempt = { runner: elsewhere, startedAt: new Date(), engines: [4711] };
  const bucket = "s3://states";

  it("is true for an engine of an attempt that is over, on any machine", () => {
    const theirs = { ...holder, host: "other", pid: 4711 };
    assert.equal(isHolderDead(theirs, [attempt], bucket), true);
    assert.equal(isHolderDead({ ...theirs, pid: 4712 }, [attempt], bucket), false);
    assert.equal(isHolderDead({ ...theirs, host: "third" }, [attempt], bucket), false);
    const earlier = { ...theirs, since: "2020-01-01T00:00:00Z" };
    assert.equal(isHolderDead(earlier, [attempt], bucket), false);
  });

  it("is false while a process with its id, as old as the lock, runs here", () => {
    const ours = { ...attempt, runner: thisRunner(), engines: [process.pid] };
    const living = { ...holder, pid: process.pid };
    assert.equal(isHolderDead(living, [ours], bucket), false);
    assert.equal(isHolderDead(living, [], "file:///states"), false);
  });

  it("is false for another machine with this machine's name", () => {
    assert.equal(isHolderDead(holder, [], bucket), false);
    assert.equal(isHolderDead({ ...holder, host: "other" }, [], "file:///states"), false);
  });

  it("proves a runner dead only by its process, on its own machine", () => {
    const self = thisRunner();
    assert.equal(isProvedDead(self), false);
    if (self.machine === "") return; // not Linux: nothing can be proved
    assert.equal(isProvedDead({ ...self, pid: NO_SUCH_PROCESS }), true);
    assert.equal(isProvedDead({ ...self, begun: "1" }), true);
    assert.equal(isProvedDead({ ...self, pid: NO_SUCH_PROCESS, machine: "another" }), false);
  });
});
