import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { Run } from "../engine.ts";

const SECRET = "planted-secret-4711";

describe("stand-in for the plugin command", function () {
  this.timeout(400_000);
  let run: Run;
  beforeEach(async () => {
    run = await Run.start();
  });
  afterEach(() => run.end());

  it("runs create, update and delete, each with the output of the last", async () => {
    const program = (word: string) => () => {
      const command = new local.Command("greet", {
        create: 'echo "hello $WORD"; cat; echo aside >&2',
        update: 'echo "$PULUMI_COMMAND_STDOUT, then $WORD"',
        delete: 'echo "$PULUMI_COMMAND_STDOUT" > gone',
        environment: { WORD: word },
        stdin: "from stdin",
        dir: run.folder,
      });
      return { stdout: command.stdout, stderr: command.stderr };
    };
    assert.deepEqual(await run.up(program("one")), {
      stdout: "hello one\nfrom stdin",
      stderr: "aside",
    });
    const [step] = await run.preview(program("two"));
    assert.deepEqual([step?.op, step?.changes], ["update", { "environment.WORD": "update" }]);
    assert.equal((await run.up(program("two")))["stdout"], "hello one\nfrom stdin, then two");
    await run.destroy();
    assert.match(await readFile(join(run.folder, "gone"), "utf8"), /then two\n$/);
  });

  it("runs create again on an update, and replaces on new triggers", async () => {
    const program = (word: string, trigger: string) => () => {
      const command = new local.Command("c", {
        create: `echo ${word}`,
        interpreter: ["/bin/sh", "-ec"],
        triggers: [trigger],
      });
      return { stdout: command.stdout, id: command.id };
    };
    const first = await run.up(program("one", "t"));
    const second = await run.up(program("two", "t"));
    assert.deepEqual([second["stdout"], second["id"]], ["two", first["id"]]);
    const third = await run.up(program("two", "u"));
    assert.notEqual(third["id"], first["id"]);
  });

  it("keeps a secret out of state and output, also where the command prints it", async () => {
    const program = () => {
      const command = new local.Command("c", {
        create: 'echo "got $TOKEN"; echo "err $TOKEN" >&2',
        environment: { TOKEN: pulumi.secret(SECRET) },
      });
      return { stdout: command.stdout };
    };
    assert.deepEqual(await run.up(program), { stdout: `got ${SECRET}` });
    assert.match(run.output, /got \[secret\]/);
    assert.ok(!(await run.stored()).includes(SECRET));
    assert.ok(!run.output.includes(SECRET));
  });

  it("fails with what the command wrote, without its secrets", async () => {
    const program = () => {
      new local.Command("c", {
        create: 'echo "cannot use $TOKEN" >&2; exit 3',
        environment: { TOKEN: pulumi.secret(SECRET) },
      });
    };
    const output = await run.upFails(program);
    assert.match(output, /exit status 3/);
    assert.match(output, /cannot use \[secret\]/);
    assert.ok(!run.output.includes(SECRET));
    assert.deepEqual(
      (await run.resources()).filter(({ type }) => type.startsWith("command")),
      [],
    );
  });

  it("ends a command and what it started when its time is over", async () => {
    const program = () => {
      const options = { customTimeouts: { create: "1s" } };
      const create = `(sleep 3; touch ${run.folder}/late) & wait`;
      new local.Command("c", { create }, options);
    };
    assert.match(await run.upFails(program), /ended by SIGTERM/);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await assert.rejects(stat(join(run.folder, "late")), { code: "ENOENT" });
  });
});
