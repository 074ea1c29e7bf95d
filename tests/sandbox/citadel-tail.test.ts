import assert from "node:assert/strict";
import { request } from "undici";
import { type Citadel, startCitadel } from "../../sandbox/citadel/server.ts";
import { type CitadelCaller, logEvent, withStandIn } from "../support/citadel-caller.ts";

describe("the live tail of the stand-in for Citadel", () => {
  let citadel: Citadel;
  let caller: CitadelCaller;
  let tenant: string;
  let ends: AbortController;

  withStandIn((given) => ({ citadel, caller, tenant } = given), { heartbeat: 20 });
  beforeEach(() => void (ends = new AbortController()));
  afterEach(() => ends.abort());

  interface Frame {
    readonly id: string;
    readonly message: string;
  }

  async function open(q: string, headers: Record<string, string> = {}) {
    const answer = await request(`${citadel.url}/api/v1/tail`, {
      query: { q },
      headers: { authorization: `Bearer ${citadel.apiKey}`, ...headers },
      signal: ends.signal,
    });
    const frames = (async function* () {
      let rest = "";
      for await (const chunk of answer.body.setEncoding("utf8")) {
        rest += String(chunk);
        const whole = rest.split("\n\n");
        rest = whole.pop() ?? "";
        yield* whole;
      }
    })();
    /** The next entries, past the heartbeats. */
    const take = async (count: number): Promise<Frame[]> => {
      const taken: Frame[] = [];
      while (taken.length < count) {
        const { value, done } = await frames.next();
        if (done) throw new Error("the tail ended");
        const [, id, data] = /^id: (\d+)\ndata: (.*)$/.exec(value) ?? [];
        if (id && data) taken.push({ id, message: (JSON.parse(data) as Frame).message });
      }
      return taken;
    };
    return { answer, frames, take };
  }

  const messages = (frames: readonly Frame[]) => frames.map(({ message }) => message);
  const send = (...all: string[]) =>
    caller.ingest(
      tenant,
      all.map((message) => logEvent(message)),
    );

  it("sends matching events as they arrive, from the call on", async () => {
    await send("before");
    const tail = await open("level:info NOT secret", { "x-tenant-id": tenant });
    assert.equal(tail.answer.headers["content-type"], "text/event-stream");
    await send("first", "secret", "second");
    assert.deepEqual(messages(await tail.take(2)), ["first", "second"]);
    await send("third");
    assert.deepEqual(messages(await tail.take(1)), ["third"]);
  });

  it("resumes after Last-Event-ID without gaps or duplicates", async () => {
    const tail = await open("level:info");
    await send("1", "2", "3");
    const seen = await tail.take(2);
    citadel.cutTails();
    await assert.rejects(tail.take(9));
    await send(...Array.from({ length: 1200 }, (_, n) => String(n + 4)));
    const again = await open("level:info", { "last-event-id": seen[1]?.id ?? "" });
    const rest = again.take(1202);
    await send("last");
    const expected = [...Array.from({ length: 1201 }, (_, n) => String(n + 3)), "last"];
    assert.deepEqual(messages(await rest), expected);
  });

  it("follows the members of its group", async () => {
    const other = await caller.tenant("other");
    const tail = await open("level:info", { "x-tenant-group": "projects" });
    await caller.ingest(other, [logEvent("not yet")]);
    await caller.call("PUT", `/tenant-groups/projects/tenants/${other}`);
    await caller.ingest(other, [logEvent("now")]);
    assert.deepEqual(messages(await tail.take(1)), ["now"]);
  });

  it("sends a heartbeat comment while there are no events", async () => {
    const { frames } = await open("level:error");
    assert.equal((await frames.next()).value, ": heartbeat");
    assert.equal((await frames.next()).value, ": heartbeat");
  });

  it("refuses an invalid query, scope, key or Last-Event-ID", async () => {
    const ask = (q: string, headers = {}) =>
      caller.call("GET", `/tail?${new URLSearchParams({ q }).toString()}`, undefined, headers);
    assert.equal((await ask("level:")).status, 400);
    assert.equal((await ask("a", { "last-event-id": "x" })).status, 400);
    assert.equal((await ask("a", { "x-tenant-group": "none" })).status, 404);
    assert.equal((await ask("a", { authorization: `Bearer ${citadel.agentKey}` })).status, 403);
  });

  it("can be cut in the middle of an entry", async () => {
    citadel.misbehave({ truncate: true, times: 1, match: { path: /tail$/ } });
    const tail = await open("level:info");
    await send("cut");
    await assert.rejects(tail.take(1));
  });

  it("does not delay shutdown", async () => {
    citadel = await startCitadel({ organization: "orchard9" });
    const tail = await open("level:info");
    const rejected = assert.rejects(tail.take(1));
    await citadel.close();
    await rejected;
  });
});
