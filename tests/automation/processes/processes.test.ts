import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  argumentsOf,
  childrenOf,
  isRunning,
  killProcessesWithVariable,
  memoryOf,
  processesWithVariable,
  startedAt,
  startTimeOf,
  thisMachine,
} from "../../../automation/processes/processes.ts";

describe("processes", () => {
  it("finds a child by its parent and by a variable, and kills it", async () => {
    const mark = `RDEV_TEST_MARK=${process.pid}.`;
    const child = spawn("sleep", ["60"], { env: { RDEV_TEST_MARK: `${process.pid}.1` } });
    await once(child, "spawn");
    const pid = child.pid!;
    assert.ok(childrenOf(process.pid).includes(pid));
    assert.deepEqual(argumentsOf(pid).slice(0, 2), ["sleep", "60"]);
    assert.deepEqual(processesWithVariable(mark), [pid]);
    assert.ok(Math.abs(startedAt(pid)! - Date.now()) < 10_000);
    assert.ok(memoryOf([pid]) > 0);
    killProcessesWithVariable(mark);
    await once(child, "exit");
    assert.deepEqual(processesWithVariable(mark), []);
    assert.equal(isRunning(pid), false);
    assert.equal(startTimeOf(pid), undefined);
    assert.equal(memoryOf([pid]), 0);
  });

  it("identifies the boot of the machine and the PID namespace", () => {
    assert.match(thisMachine(), /^[0-9a-f-]{36}\/pid:\[\d+\]$/);
  });
});
