import assert from "node:assert/strict";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import {
  markIn,
  markText,
  ownerBefore,
  ownerSchema,
  ownershipOf,
  retainedMarkText,
} from "../../core/ownership.ts";
import { define } from "../../providers/dynamic/definition.ts";
import { dynamicProvider, UNKNOWN } from "../../providers/dynamic/provider.ts";
import { fails } from "../support/errors.ts";
import { testOwner } from "../support/owner.ts";

/** A server in memory that stores the mark of each thing. */
const marks = new Map<string, string>();
let maySee = true;

const provider = dynamicProvider(
  define({
    module: "test/marked",
    type: "test:Marked",
    noun: "thing",
    inputs: z.object({ name: z.string(), owner: ownerSchema, size: z.int().default(1) }),
    attributes: z.object({}),
    replaceOn: ["name"],
    secrets: [],
    connect: () => marks,
    rules: ({ size }) => (size > 9 ? [{ property: "size", reason: "is too large" }] : []),
    async find(_marks, { name, owner }) {
      if (!maySee) return undefined;
      const mark = marks.get(name);
      if (mark === undefined) return undefined;
      return { id: name, ownership: ownershipOf(markIn(mark), owner) };
    },
    async create(_marks, { name, owner }) {
      marks.set(name, markText(owner));
      return name;
    },
    async apply(_marks, id, { owner }) {
      if (!maySee || !marks.has(id)) throw new InfraError("RDEV_GONE", "There is no thing.");
      marks.set(id, markText(owner));
      return {};
    },
    async read(_marks, id) {
      return maySee && marks.has(id) ? {} : undefined;
    },
    async assertVisible() {
      if (!maySee) throw new InfraError("RDEV_FORBIDDEN", "The credential cannot see things.");
    },
    async delete(_marks, id) {
      marks.delete(id);
    },
  }),
);

const owner = testOwner("my-app");
const INPUTS = { name: "one", owner, size: 1 };
const STATE_BEFORE = { name: "one", project: "my-app", size: 1 };
const OTHERS = {
  platform: markText({ ...owner, platform: "prod" }),
  project: markText({ ...owner, project: "other" }),
  stack: markText({ ...owner, stack: "f".repeat(16) }),
};

describe("the owner of an object", () => {
  beforeEach(() => {
    marks.clear();
    maySee = true;
  });

  for (const [differs, mark] of Object.entries(OTHERS)) {
    it(`is respected by adoption, update and delete if the ${differs} differs`, async () => {
      marks.set("one", mark);
      await fails(provider.create(INPUTS), "RDEV_NOT_OURS");
      await fails(provider.update("one", INPUTS, { ...INPUTS, size: 2 }), "RDEV_NOT_OURS");
      await fails(provider.update("one", STATE_BEFORE, INPUTS), "RDEV_NOT_OURS");
      await provider.delete("one", INPUTS);
      await provider.delete("one", STATE_BEFORE);
      assert.equal(marks.get("one"), mark);
    });
  }

  it("replaces an earlier version's mark only in an update of its own state", async () => {
    const before = markText(ownerBefore("my-app"));
    marks.set("one", before);
    const error = await fails(provider.create(INPUTS), "RDEV_NOT_OURS");
    assert.match(error.message, /mark of an earlier version/);
    await fails(provider.update("one", INPUTS, { ...INPUTS, size: 2 }), "RDEV_NOT_OURS");
    await provider.delete("one", INPUTS);
    assert.equal(marks.get("one"), before);
    await provider.update("one", STATE_BEFORE, INPUTS);
    assert.equal(marks.get("one"), markText(owner));
  });

  it("deletes an object of an earlier version with that version's state", async () => {
    marks.set("one", markText(ownerBefore("my-app")));
    await provider.delete("one", STATE_BEFORE);
    assert.equal(marks.size, 0);
  });

  it("finishes an adoption that was interrupted after the mark was written", async () => {
    marks.set("one", markText(owner));
    await provider.update("one", STATE_BEFORE, INPUTS);
    assert.equal(marks.get("one"), markText(owner));
  });

  it("adopts an object that a stack of the same project retained", async () => {
    marks.set("one", retainedMarkText({ ...owner, stack: "f".repeat(16) }));
    await provider.create(INPUTS);
    assert.equal(marks.get("one"), markText(owner));
    marks.set("one", retainedMarkText({ ...owner, platform: "prod" }));
    await fails(provider.create(INPUTS), "RDEV_NOT_OURS");
  });

  it("restores a mark that somebody removed", async () => {
    marks.set("one", "");
    await provider.update("one", INPUTS, INPUTS);
    assert.equal(marks.get("one"), markText(owner));
  });

  it("is unknown in the preview of a new stack, whose other inputs are checked", async () => {
    const news = { name: "one", owner: UNKNOWN, size: 10 };
    const { failures } = await provider.check({}, news);
    assert.deepEqual(failures, [{ property: "size", reason: "is too large" }]);
  });

  it("is kept if the credential cannot see the object", async () => {
    marks.set("one", markText(owner));
    maySee = false;
    await fails(provider.read("one", INPUTS), "RDEV_FORBIDDEN");
    await fails(provider.delete("one", INPUTS), "RDEV_FORBIDDEN");
    await fails(provider.update("one", INPUTS, INPUTS), "RDEV_FORBIDDEN");
    await fails(provider.find(INPUTS), "RDEV_FORBIDDEN");
    maySee = true;
    marks.clear();
    assert.deepEqual(await provider.read("one", INPUTS), { id: "", props: {} });
    await provider.delete("one", INPUTS);
  });
});
