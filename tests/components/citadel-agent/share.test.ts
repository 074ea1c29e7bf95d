import assert from "node:assert/strict";
import { startLua } from "./lua.ts";

const PLATFORM = "11111111-1111-4111-8111-111111111111";
const REFUSED = "22222222-2222-4222-8222-222222222222";
const OTHER = "33333333-3333-4333-8333-333333333333";
const TAG = `kube.var.log.containers.web_shop_app-${"0123456789abcdef".repeat(4)}.log`;
const SHARE = 2 ** 17;
const START = Math.floor(Date.UTC(2026, 2, 1, 10) / 1000);

type Event = Record<string, unknown> & { fields: Record<string, unknown> & { k8s: object } };

describe("share.lua", () => {
  let now = START;
  let waiting: Record<string, { bytes: number; count: number }> = {};
  const start = () => {
    now = START;
    waiting = {};
    return startLua(
      { CITADEL_TENANT_ID: PLATFORM, NODE_NAME: "node-1" },
      {
        settings: { share: SHARE, unsent: 10 * SHARE },
        now: () => now,
        waiting: () => waiting,
      },
    );
  };
  /** The events for one line: none, the line's, a notice, or both. */
  const line = (run: ReturnType<typeof start>, tenant: string, log = "x") => {
    const { code, record } = run({
      tag: TAG,
      time: now * 1000,
      record: {
        log,
        stream: "stdout",
        kubernetes: { pod_id: "1", labels: { "citadel.io/environment": tenant } },
        kubernetes_namespace: { name: "shop" },
      },
    });
    if (code === -1) return [];
    return (Array.isArray(record) ? record : [record]) as Event[];
  };
  const messages = (events: readonly Event[]) => events.map(({ message }) => message);
  const NOTICE =
    /^The log agent on this node drops lines of this environment: Citadel accepts them/;

  it("does not limit a tenant while half of the disk is free", () => {
    const run = start();
    waiting = { [REFUSED]: { bytes: 4 * SHARE, count: 200 } };
    assert.deepEqual(messages(line(run, REFUSED)), ["x"]);
  });

  it("limits each tenant to its share once half of the disk is used", () => {
    const run = start();
    waiting = { [REFUSED]: { bytes: 5 * SHARE, count: 200 } };
    const [notice, ...more] = line(run, REFUSED);
    assert.match(String(notice?.["message"]), NOTICE);
    assert.deepEqual(more, []);
    assert.deepEqual(line(run, REFUSED), []);
    for (let count = 0; count < 90; count += 1) {
      assert.deepEqual(messages(line(run, OTHER, "y".repeat(1_000))).length, 1);
    }
  });

  it("counts lines since the last measurement, so that a burst cannot exceed the share", () => {
    const run = start();
    waiting = { [OTHER]: { bytes: 5 * SHARE, count: 200 } };
    let passed = 0;
    for (let count = 0; count < 150; count += 1) {
      passed += messages(line(run, REFUSED, "z".repeat(1_000))).filter((text) =>
        String(text).startsWith("z"),
      ).length;
    }
    assert.equal(passed, Math.floor(SHARE / 1_300));
  });

  it("measures again before it drops lines, because some may have been sent", () => {
    const run = start();
    waiting = { [OTHER]: { bytes: 5 * SHARE, count: 200 } };
    for (let count = 0; count < 300; count += 1) {
      // 0.9 MB a second, sent immediately.
      if (count % 90 === 0) now += 1;
      assert.equal(line(run, REFUSED, "z".repeat(1_000)).length, 1);
    }
  });

  it("reports dropped lines to the environment, first at once and then once a minute", () => {
    const run = start();
    waiting = { [REFUSED]: { bytes: 6 * SHARE, count: 200 } };
    const told: Event[] = [];
    for (let second = 0; second < 150; second += 1, now += 1) told.push(...line(run, REFUSED));
    assert.equal(told.length, 3);
    assert.deepEqual(
      told.map(({ fields }) => fields["dropped_lines"]),
      [1, 60, 60],
    );
    for (const { fields, level, target, environment } of told) {
      assert.deepEqual(fields.k8s, { tenant: REFUSED, node: "node-1" });
      assert.deepEqual([level, target, environment], ["warn", "citadel-agent", "staging"]);
    }
  });

  it("reports the rest when lines pass again, and then nothing more", () => {
    const run = start();
    waiting = { [REFUSED]: { bytes: 6 * SHARE, count: 200 } };
    for (let count = 0; count < 10; count += 1) line(run, REFUSED);
    waiting = {};
    now += 61;
    const [notice, event] = line(run, REFUSED);
    assert.equal(notice?.fields["dropped_lines"], 9);
    assert.equal(event?.["message"], "x");
    for (let minute = 0; minute < 3; minute += 1, now += 61) {
      assert.deepEqual(messages(line(run, REFUSED)), ["x"]);
    }
  });

  it("limits the number of chunks; the engine stops sending when 16,384 are refused", () => {
    const run = start();
    waiting = {
      [REFUSED]: { bytes: SHARE / 2, count: 5_000 },
      [OTHER]: { bytes: SHARE / 2, count: 3_500 },
    };
    assert.match(String(line(run, REFUSED)[0]?.["message"]), NOTICE);
    assert.deepEqual(messages(line(run, OTHER)), ["x"]);
  });

  it("does not limit a tenant if the disk cannot be measured", () => {
    const run = startLua({ CITADEL_TENANT_ID: PLATFORM });
    assert.equal(
      run({ tag: TAG, time: START, record: { log: "x", kubernetes: { pod_id: "1" } } }).code,
      2,
    );
  });
});
