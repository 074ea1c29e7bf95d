import assert from "node:assert/strict";
import { describeEngine, eventually } from "./engine.ts";
import { type AgentStage, startStage } from "./stage.ts";

const GO = `panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48f2a5]

goroutine 1 [running]:
main.(*Server).handle(0x0, {0xc000012345, 0x3})
	/app/server.go:42 +0x1d
net/http.HandlerFunc.ServeHTTP(...)
	/usr/local/go/src/net/http/server.go:2294
created by main.main in goroutine 1
	/app/main.go:12 +0x85
exit status 2`;
const NODE = `/app/index.js:3
    throw new TypeError("no");
    ^

TypeError: no
    at Object.<anonymous> (/app/index.js:3:11)
    at Module._compile (node:internal/modules/cjs/loader:1554:14) {
  code: 'E_NO'
}

Node.js v24.1.0`;
const PYTHON = `Traceback (most recent call last):
  File "/app/a.py", line 3, in f
    return d["x"]
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/a.py", line 9, in <module>
    f()
app.errors.NotFound: x`;
const JAVA = `Exception in thread "main" java.lang.IllegalStateException: no order
	at shop.Orders.find(Orders.java:17)
	at shop.Main.main(Main.java:5)
Caused by: java.sql.SQLException: closed
	at org.db.Driver.query(Driver.java:99)
	... 2 more`;

describeEngine("The agent's pipeline", () => {
  let stage: AgentStage;
  before(async () => {
    stage = await startStage();
    await stage.engine.start();
  });
  after(() => stage.close());

  /** Writes lines, and returns the events that arrive. */
  const sendLines = async (lines: readonly string[], stream = "stderr") => {
    const { tenant, log } = await stage.project();
    await stage.node.write(log, [...lines, "end"], stream);
    await eventually(() => stage.sink.messages(tenant).includes("end"), { what: "the end" });
    return stage.sink.taken.get(tenant) ?? [];
  };

  for (const [language, trace] of Object.entries({
    Go: GO,
    Node: NODE,
    Python: PYTHON,
    Java: JAVA,
  })) {
    it(`joins a stack trace of ${language} into one event, without the lines around it`, async () => {
      const events = await sendLines(["before", ...trace.split("\n"), "after"]);
      assert.deepEqual(
        events.map(({ message }) => message),
        ["before", trace, "after", "end"],
      );
    });
  }

  it("is not blocked by a line that is slow to match", async () => {
    const slow = `main${"()".repeat(120_000)}(`;
    const events = await sendLines(["panic: on purpose", slow, "after"]);
    assert.deepEqual(
      events.map(({ message }) => message),
      ["panic: on purpose", slow, "after", "end"],
    );
  });

  it("joins neither JSON objects nor lines of different streams", async () => {
    const { tenant, log } = await stage.project();
    const object = JSON.stringify({ level: "error", msg: "an Error: with a word" });
    await stage.node.write(log, [object, object], "stderr");
    const [head = "", ...rest] = JAVA.split("\n");
    await stage.node.write(log, [head], "stderr");
    await stage.node.write(log, ["  at peace with stdout"], "stdout");
    await stage.node.write(log, [...rest, "end"], "stderr");
    await eventually(() => stage.sink.messages(tenant).includes("end"));
    const messages = stage.sink.messages(tenant);
    assert.equal(messages.filter((message) => message === "an Error: with a word").length, 2);
    assert.ok(messages.includes("  at peace with stdout"));
  });

  it("joins lines that the runtime split at 16 KiB", async () => {
    const long = JSON.stringify({ level: "info", msg: "long", text: "y".repeat(100_000) });
    const [event] = await sendLines([long], "stdout");
    assert.equal(String(event?.fields["text"]).length, 100_000);
  });

  it("reads time and level from the line, and keeps exact numbers, null and empty values", async () => {
    const [event] = await sendLines(
      [
        '{"time":"2026-01-02T03:04:05.678+02:00","level":"WARN","msg":"x","id":9007199254740993,"n":null,"a":[],"o":{},"f":0.5,"i":3}',
      ],
      "stdout",
    );
    assert.equal(event?.timestamp, "2026-01-02T01:04:05.678Z");
    assert.equal(event?.level, "warn");
    const { k8s: _, ...fields } = event?.fields ?? {};
    assert.deepEqual(fields, { id: "9007199254740993", n: null, a: [], o: {}, f: 0.5, i: 3 });
  });

  it("accepts bytes that are not text", async () => {
    const { tenant, log } = await stage.project();
    const bytes = Buffer.from(
      Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 10),
    );
    await stage.node.writeBytes(log, bytes);
    await stage.node.write(log, ["end"]);
    await eventually(() => stage.sink.messages(tenant).includes("end"));
    assert.equal(stage.sink.messages(tenant).length, 2);
  });

  it("never sends more than Citadel's 4 MiB in one request", async function () {
    this.timeout(400_000);
    const { tenant, log } = await stage.project();
    const line = `${'\u001b"\\é漢'.repeat(800)}`;
    for (let part = 0; part < 10; part += 1) {
      await stage.node.write(
        log,
        Array.from({ length: 200 }, (_, number) => `${part} ${number} ${line}`),
      );
    }
    await stage.node.write(log, ["end"]);
    // Requests finish in any order, so the last line may arrive first.
    const isWhole = () => new Set(stage.sink.messages(tenant)).size === 2_001;
    await eventually(isWhole, { what: "all lines", timeout: 100_000 });
    const sizes = stage.sink.requests.map(({ bytes }) => bytes);
    assert.ok(Math.max(...sizes) < 4 * 2 ** 20, `${Math.max(...sizes)} bytes`);
    assert.equal(new Set(stage.sink.messages(tenant)).size, 2_001);
  });

  it("serves 200 tenants of one node", async function () {
    this.timeout(400_000);
    const projects: Awaited<ReturnType<AgentStage["project"]>>[] = [];
    for (let count = 0; count < 200; count += 1) projects.push(await stage.project());
    for (let round = 0; round < 5; round += 1) {
      for (const { tenant, log } of projects) {
        await stage.node.write(
          log,
          Array.from({ length: 20 }, (_, number) => `${tenant} ${round} ${number}`),
        );
      }
    }
    await eventually(
      () => projects.every(({ tenant }) => new Set(stage.sink.messages(tenant)).size === 100),
      { what: "all lines of all tenants", timeout: 120_000 },
    );
    for (const { tenant } of projects) {
      assert.ok(stage.sink.messages(tenant).every((message) => message.startsWith(tenant)));
    }
  });
});
