import assert from "node:assert/strict";
import fc from "fast-check";
import { follow } from "../../../automation/logs/follow.ts";
import { InfraError } from "../../../core/errors.ts";
import type { Citadel, Entry } from "../../../providers/citadel/port.ts";

const entry = (id: number): Entry => ({
  id: String(id),
  timestamp: new Date(Date.UTC(2026, 0, 1) + id * 1000).toISOString(),
  level: "info",
  service: "s",
  message: `line ${id}`,
  traceId: undefined,
  metadata: {},
});

/** A growing log. Each connection of the live tail breaks after the given number of lines. */
class Fake implements Pick<Citadel, "query" | "tail"> {
  readonly lines: Entry[] = [];
  readonly asked: (string | undefined)[] = [];
  replays = true;

  write(count: number): void {
    for (let left = count; left > 0; left -= 1) this.lines.push(entry(this.lines.length));
  }

  /** The connections in order, and what happens after each. */
  plan: { during: number; away: number; breaks: boolean }[] = [];
  onEnd: () => void = () => undefined;

  async query(_scope: unknown, _cpl: string, { limit = 100 } = {}) {
    const entries = this.lines.slice(-limit).toReversed();
    return { entries, total: this.lines.length, durationMs: 0 };
  }

  async tail(_scope: unknown, _cpl: string, { lastEventId }: { lastEventId?: string } = {}) {
    this.asked.push(lastEventId);
    const from =
      this.replays && lastEventId !== undefined ? Number(lastEventId) + 1 : this.lines.length;
    return this.#stream(from);
  }

  async *#stream(from: number): AsyncGenerator<Entry> {
    const { during, away, breaks } = this.plan.shift() ?? { during: 0, away: 0, breaks: false };
    this.write(during);
    yield* this.lines.slice(from);
    this.write(away);
    if (this.plan.length === 0) this.onEnd();
    if (breaks) throw new InfraError("RDEV_UNREACHABLE", "gone");
  }
}

async function idsOf(
  fake: Fake,
  more: { readonly limit?: number; readonly lastEventId?: string } = {},
): Promise<{ ids: number[]; notes: string[] }> {
  const stop = new AbortController();
  const notes: string[] = [];
  const ids: number[] = [];
  fake.plan.push({ during: 0, away: 0, breaks: false });
  fake.onEnd = () => stop.abort();
  const options = { signal: stop.signal, firstWait: 0, ...more };
  for await (const found of follow(fake, "organization", "q", options)) {
    if ("note" in found) notes.push(found.note);
    else ids.push(Number(found.id));
  }
  return { ids, notes };
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at);

describe("follow", () => {
  const plans = fc.array(
    fc.record({ during: fc.nat(20), away: fc.nat(60), breaks: fc.boolean() }),
    { maxLength: 6 },
  );

  it("yields every line once, in order, over any number of broken connections", async () => {
    await fc.assert(
      fc.asyncProperty(plans, fc.nat(80), fc.boolean(), async (plan, before, replays) => {
        const fake = new Fake();
        fake.replays = replays;
        fake.write(before);
        fake.plan = [...plan];
        const { ids } = await idsOf(fake);
        assert.deepEqual(ids, range(0, fake.lines.length));
      }),
    );
  });

  it("begins with the newest lines up to the limit, and never yields older ones", async () => {
    const fake = new Fake();
    fake.write(50);
    fake.plan = [{ during: 2, away: 3, breaks: true }];
    assert.deepEqual((await idsOf(fake, { limit: 10 })).ids, range(40, 55));
  });

  it("continues for a client after the last id that the client had", async () => {
    for (const replays of [true, false]) {
      const fake = new Fake();
      fake.replays = replays;
      fake.write(300);
      fake.plan = [{ during: 4, away: 3, breaks: true }];
      const { ids, notes } = await idsOf(fake, { limit: 10, lastEventId: "150" });
      assert.deepEqual(ids, range(151, 307));
      assert.equal(notes[0], "gone Trying again.");
    }
  });

  it("says that lines may be missing if the client's last id is too far back", async () => {
    const fake = new Fake();
    fake.replays = false;
    fake.write(700);
    const { ids, notes } = await idsOf(fake, { lastEventId: "150" });
    assert.deepEqual(ids, range(200, 700));
    assert.match(notes.join(), /More than 500 lines arrived meanwhile/);
  });

  it("continues after the last id, and says why it waits", async () => {
    const fake = new Fake();
    fake.plan = [
      { during: 3, away: 0, breaks: true },
      { during: 0, away: 0, breaks: false },
    ];
    const { notes } = await idsOf(fake);
    assert.deepEqual(fake.asked, [undefined, "2", "2"]);
    assert.deepEqual(notes[0], "gone Trying again.");
  });

  it("says that lines may be missing if more arrived than a query returns", async () => {
    const fake = new Fake();
    fake.replays = false;
    fake.plan = [{ during: 1, away: 700, breaks: true }];
    const { ids, notes } = await idsOf(fake);
    assert.equal(ids.length, 501);
    assert.match(notes.join(), /More than 500 lines arrived meanwhile/);
  });

  it("rejects with errors that a reconnect cannot fix", async () => {
    for (const code of [
      "RDEV_UNAUTHORIZED",
      "RDEV_QUERY",
      "RDEV_CONTRACT",
      "RDEV_TENANT",
    ] as const) {
      const fake = new Fake();
      fake.tail = () => Promise.reject(new InfraError(code, "no"));
      await assert.rejects(idsOf(fake), { code });
    }
  });
});
