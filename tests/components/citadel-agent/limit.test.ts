import assert from "node:assert/strict";
import { type Shaped, startLua } from "./lua.ts";

const PLATFORM = "11111111-1111-4111-8111-111111111111";
const TENANT = "22222222-2222-4222-8222-222222222222";
const START = Date.UTC(2026, 2, 1, 10);
const BURST = 30; // seconds, as in limit.lua

const tagOf = (pod: string) =>
  `kube.var.log.containers.${pod}_shop_app-${"0123456789abcdef".repeat(4)}.log`;

interface Line {
  readonly log: string;
  readonly stream: string;
}

describe("limit.lua", () => {
  const agent = (lines: number, kib = 1024) =>
    startLua({ CITADEL_TENANT_ID: PLATFORM }, { settings: { lines, bytes: kib * 1024 } });
  /** The output of the stage: lines that pass, and notices. */
  const recordsOf = ({ code, record }: Shaped): readonly Line[] =>
    code === -1 ? [] : code === 0 ? [record as Line] : (record as Line[]);
  const noticesIn = (records: readonly Line[]) =>
    records
      .filter(({ stream }) => stream === "agent")
      .map(({ log }) => JSON.parse(log) as Record<string, unknown>);
  /** Writes lines at an even rate, and returns everything that came out. */
  const write = (
    run: ReturnType<typeof agent>,
    pod: string,
    {
      perSecond,
      seconds,
      from = 0,
      line = "x",
    }: Record<"perSecond" | "seconds", number> & {
      from?: number;
      line?: string;
    },
  ) =>
    Array.from({ length: perSecond * seconds }, (_, index) =>
      recordsOf(
        run({
          call: "limit",
          tag: tagOf(pod),
          time: START + from * 1000 + Math.floor((index * 1000) / perSecond),
          record: { log: line, stream: "stdout" },
        }),
      ),
    ).flat();
  const own = (records: readonly Line[]) => records.filter(({ stream }) => stream !== "agent");

  it("passes lines below the rate unchanged", () => {
    const run = agent(5);
    const written = write(run, "calm", { perSecond: 5, seconds: 60 });
    assert.equal(written.length, 300);
    assert.deepEqual(written[0], { log: "x", stream: "stdout" });
  });

  it("passes a burst, and then the rate", () => {
    const run = agent(2);
    const seconds = 60;
    const passed = own(write(run, "flood", { perSecond: 20, seconds })).length;
    assert.ok(Math.abs(passed - 2 * (BURST + seconds)) <= 2, String(passed));
  });

  it("counts bytes as well as lines", () => {
    const run = agent(1_000, 1);
    const seconds = 40;
    const passed = own(
      write(run, "wide", { perSecond: 20, seconds, line: "x".repeat(512) }),
    ).length;
    assert.ok(Math.abs(passed - 2 * (BURST + seconds)) <= 3, String(passed));
  });

  it("limits each container separately", () => {
    const run = agent(2);
    let calm = 0;
    for (let second = 0; second < 40; second += 1) {
      write(run, "flood", { perSecond: 30, seconds: 1, from: second });
      calm += write(run, "calm", { perSecond: 2, seconds: 1, from: second }).length;
    }
    assert.equal(calm, 80);
  });

  it("uses the time of the lines, so that lines read late are not a burst", () => {
    // Ten minutes at the rate, read at once: the runtime's time counts, not the clock.
    assert.equal(write(agent(1), "late", { perSecond: 1, seconds: 600 }).length, 600);
  });

  it("reports the first drop, and then once a minute how many lines it dropped", () => {
    const run = agent(1);
    const records = write(run, "flood", { perSecond: 5, seconds: 300 });
    const notices = noticesIn(records);
    assert.match(
      String(notices[0]?.["msg"]),
      /drops lines .* more than 1 lines or 1024 KiB a second/,
    );
    const counts = notices.slice(1);
    assert.ok(counts.length >= 4 && counts.length <= 5, String(counts.length));
    for (const notice of counts) {
      // The limit passes 1 of 5 lines a second, for a minute and the time until the next line.
      assert.ok(Math.abs(Number(notice["dropped_lines"]) - 4 * 60) <= 5, JSON.stringify(notice));
      assert.equal(notice["dropped_bytes"], notice["dropped_lines"]);
      assert.equal(notice["level"], "warn");
    }
  });

  it("reports all dropped lines as soon as the container writes again", () => {
    const run = agent(2);
    const flood = write(run, "flood", { perSecond: 100, seconds: 5 });
    const after = write(run, "flood", { perSecond: 1, seconds: 20, from: 100 });
    assert.equal(own(after).length, 20);
    const told = noticesIn([...flood, ...after]).map((notice) =>
      Number(notice["dropped_lines"] ?? 0),
    );
    assert.equal(
      told.reduce((sum, count) => sum + count),
      500 - own(flood).length,
    );
  });

  it("sends the notice to the container's own environment", () => {
    const run = agent(1);
    const [notice] = write(run, "flood", { perSecond: 100, seconds: 2 }).filter(
      ({ stream }) => stream === "agent",
    );
    assert.ok(notice);
    const { record } = run({
      tag: tagOf("flood"),
      time: START,
      record: {
        ...notice,
        kubernetes: { pod_id: "1", labels: { "citadel.io/environment": TENANT } },
        kubernetes_namespace: { name: "shop" },
      },
    });
    const event = record as { level: string; target: string; fields: { k8s: object } };
    assert.deepEqual([event.level, event.target], ["warn", "citadel-agent"]);
    assert.deepEqual(event.fields.k8s, {
      namespace: "shop",
      pod: "flood",
      container: "app",
      node: "unknown",
      stream: "agent",
      tenant: TENANT,
    });
  });

  it("does not refill when the node's clock goes back", () => {
    const run = agent(1);
    write(run, "clock", { perSecond: 10, seconds: 10, from: 1_000 });
    assert.equal(own(write(run, "clock", { perSecond: 10, seconds: 10 })).length, 0);
    assert.ok(own(write(run, "clock", { perSecond: 1, seconds: 10, from: 1_010 })).length >= 9);
  });

  it("forgets containers that no longer write", () => {
    const run = agent(10);
    for (let pod = 0; pod < 2_200; pod += 1) {
      assert.equal(write(run, `pod-${pod}`, { perSecond: 1, seconds: 1, from: pod }).length, 1);
    }
  });
});
