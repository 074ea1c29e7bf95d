import assert from "node:assert/strict";
import { AsyncResource } from "node:async_hooks";
import { queryObjects } from "node:v8";
import * as pulumi from "@pulumi/pulumi";
import type { StackProgram } from "../../../../automation/engine/options.ts";
import { preview } from "../../../../automation/engine/stack.ts";
import type { OperationEvent } from "../../../../core/operation.ts";
import { ProgramClients } from "../../../../automation/engine/quirks/open-clients.ts";
import { type EngineFolder, makeEngineFolder, Thing } from "../../../support/engine-folder.ts";
import { withVariables } from "../../../support/variables.ts";

const THINGS = 20;

/** A resource whose objects can be counted. */
class CountedThing extends Thing {}

/**
 * How many are still reachable. Collects garbage first. The SDK keeps those of the process's first and of its
 * last program.
 */
const reachable = () => queryObjects(CountedThing, { format: "count" });

describe("the quirk of open clients", function () {
  this.timeout(400_000);

  let folder: EngineFolder;
  /** What stays of two operations. Another test's program may have been the first of this process. */
  let kept: number;

  before(async () => {
    folder = await makeEngineFolder();
    await previewThings();
    await previewThings();
    kept = reachable();
  });

  after(() => folder.remove());

  /** Returns the program's messages. */
  async function previewProgram(program: StackProgram): Promise<string[]> {
    const { workDir, variables } = folder;
    const messages: string[] = [];
    const onEvent = (event: OperationEvent) => {
      if (event.event === "diagnostic") messages.push(event.message);
    };
    const { errors } = await withVariables(variables, () =>
      preview("open-clients", { workDir, create: true, transient: true, program, onEvent }),
    );
    assert.deepEqual(errors, []);
    return messages;
  }

  const previewThings = () =>
    previewProgram(async () => {
      for (let number = 0; number < THINGS; number++) new CountedThing(`thing-${number}`);
      return {};
    });

  it("is avoided: resources of an ended operation do not stay in memory", async () => {
    await previewThings();
    await previewThings();
    assert.equal(reachable(), kept);
  });

  it("lose no message of a later operation by one that comes too late, and print none", async () => {
    let warn = () => Promise.resolve();
    await previewProgram(async () => {
      warn = AsyncResource.bind(() => pulumi.log.warn("too late"));
      return {};
    });
    const { error } = console;
    const printed: unknown[] = [];
    console.error = (...texts: unknown[]) => void printed.push(texts);
    try {
      await warn();
      const messages = await previewProgram(async () => void (await pulumi.log.warn("in time")));
      assert.deepEqual(messages, ["in time"]);
    } finally {
      console.error = error;
    }
    assert.deepEqual(printed, []);
  });

  it("contract: without the workaround, they stay", async () => {
    const { collect } = ProgramClients.prototype;
    ProgramClients.prototype.collect = () => undefined;
    try {
      await previewThings();
      await previewThings();
      assert.equal(reachable(), kept + THINGS);
    } finally {
      ProgramClients.prototype.collect = collect;
    }
  });
});
