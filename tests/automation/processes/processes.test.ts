import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  argumentsOf,
  childrenOf,
  cpuSecondsOf,
  isRunning,
  killGroup,
  killProcessesWithVariable,
  memoryOf,
  peakMemoryOf,
  processesWithVariable,
  proportionalMemoryOf,
  residentMemoryOf,
  startedAt,
  startTimeOf,
  thisMachine,
  treeOf,
} from "../../../automation/processes/processes.ts";
import { until } from "../../../sandbox/process.ts";

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
    assert.ok(peakMemoryOf(pid) >= memoryOf([pid]));
    assert.ok(residentMemoryOf([pid]) >= proportionalMemoryOf(pid));
    assert.ok(proportionalMemoryOf(pid) > 0);
    killProcessesWithVariable(mark);
    await once(child, "exit");
    assert.deepEqual(processesWithVariable(mark), []);
    assert.equal(isRunning(pid), false);
    assert.equal(startTimeOf(pid), undefined);
    assert.equal(memoryOf([pid]), 0);
  });

  it("finds the children of children, and kills a group", async () => {
    const child = spawn("sh", ["-c", "sleep 60 & wait"], { detached: true });
    await once(child, "spawn");
    const pid = child.pid!;
    await until(() => assert.equal(treeOf(pid).length, 2));
    const tree = treeOf(pid);
    assert.ok(tree.every((each) => treeOf(process.pid).includes(each)));
    killGroup(pid);
    await once(child, "exit");
    await until(() => assert.ok(!tree.some((each) => startTimeOf(each) !== undefined)));
    killGroup(pid);
  });

  it("measures the processor time of a process", () => {
    const { user, system } = process.cpuUsage();
    const used = (user + system) / 1e6;
    assert.ok(Math.abs(cpuSecondsOf(process.pid) - used) < 0.5, `${used} s`);
    assert.equal(cpuSecondsOf(0), 0);
  });

  it("identifies the boot of the machine and the PID namespace", () => {
    assert.match(thisMachine(), /^[0-9a-f-]{36}\/pid:\[\d+\]$/);
  });
});
