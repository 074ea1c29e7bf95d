import assert from "node:assert/strict";
import * as random from "@pulumi/random";
import { Run } from "../engine.ts";

describe("stand-in for the plugin random", function () {
  this.timeout(400_000);
  let run: Run;
  beforeEach(async () => {
    run = await Run.start();
  });
  afterEach(() => run.end());

  it("makes values once, keeps a password out of the state, and replaces on new keepers", async () => {
    const program = (keeper: string) => () => {
      const password = new random.RandomPassword("password", {
        length: 24,
        overrideSpecial: "-_",
        keepers: { keeper },
      });
      const id = new random.RandomId("id", { byteLength: 4, prefix: "p-" });
      const text = new random.RandomString("text", { length: 8, special: false, upper: false });
      return { password: password.result, hex: id.hex, dec: id.dec, text: text.result };
    };
    const first = await run.up(program("one"));
    assert.match(String(first["password"]), /^[\w-]{24}$/);
    assert.match(String(first["hex"]), /^p-[0-9a-f]{8}$/);
    assert.equal(first["dec"], `p-${parseInt(String(first["hex"]).slice(2), 16)}`);
    assert.match(String(first["text"]), /^[a-z0-9]{8}$/);
    assert.ok(!(await run.stored()).includes(String(first["password"])));
    assert.ok(!run.output.includes(String(first["password"])));

    assert.deepEqual(await run.preview(program("one")), []);
    const [create, ...rest] = (await run.preview(program("two"))).filter(
      ({ op }) => op === "replace",
    );
    assert.deepEqual(create?.changes, { "keepers.keeper": "update-replace" });
    assert.deepEqual(rest, []);

    const second = await run.up(program("two"));
    assert.notEqual(second["password"], first["password"]);
    assert.equal(second["hex"], first["hex"]);
  });

  it("says what contradicts itself in a preview", async () => {
    const program = () => {
      new random.RandomPassword("password", { length: 2, minNumeric: 3 });
    };
    await assert.rejects(run.preview(program), /2 is less than the 3 characters/);
  });

  it("names the kinds that it has where it is asked for another", async () => {
    const program = () => {
      new random.RandomPet("pet");
    };
    assert.match(
      await run.upFails(program),
      /supports RandomPassword, RandomString, RandomId, but not/,
    );
  });
});
