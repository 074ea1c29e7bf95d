import assert from "node:assert/strict";
import { mock } from "node:test";
import type { ApiClient } from "../../cli/api/client.ts";
import { follow } from "../../cli/api/follow.ts";
import { operationView } from "../../automation/service/schemas/operation.ts";
import type { ServerSentEvent } from "../../providers/sse.ts";
import { OPERATION } from "../support/fake-service.ts";

const END: ServerSentEvent = {
  type: "end",
  id: "1",
  data: JSON.stringify(operationView({ ...OPERATION, state: "succeeded" })),
};

describe("rdev-infra operations follow", () => {
  let now = 0;
  beforeEach(() => {
    now = 0;
    mock.method(performance, "now", () => now);
    for (const name of ["log", "error"] as const) mock.method(console, name, () => undefined);
  });
  afterEach(() => mock.restoreAll());

  /** A number is a stream that ends after so many seconds; an error is one that cannot be opened. */
  function api(...streams: readonly (number | Error | "end")[]): ApiClient {
    const left = [...streams];
    const events = async (): Promise<AsyncIterable<ServerSentEvent>> => {
      const stream = left.shift() ?? new Error("no stream is left");
      if (stream instanceof Error) {
        now += 50_000;
        throw stream;
      }
      return (async function* () {
        if (stream === "end") yield END;
        else now += stream * 1_000;
      })();
    };
    return { events } as Pick<ApiClient, "events"> as ApiClient;
  }

  it("reconnects after a restart, however long the stream was silent before", async () => {
    const client = api(600, new Error("ECONNREFUSED"), "end");
    const outcome = await follow(client, operationView(OPERATION), {});
    assert.equal(outcome.result, "succeeded");
  });

  it("mentions the queue only if the operation really waits in it", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const state = (id: number, name: string): ServerSentEvent => ({
      type: "event",
      id: String(id),
      data: JSON.stringify({ event: { event: "state", state: name, attempts: 1 } }),
    });
    const notes = async (waitMs: number) => {
      const error = mock.method(console, "error", () => undefined);
      const events = async () =>
        (async function* () {
          yield state(1, "queued");
          mock.timers.tick(waitMs);
          yield state(2, "running");
          yield END;
        })();
      const client = { events } as Pick<ApiClient, "events"> as ApiClient;
      await follow(client, operationView(OPERATION), {});
      mock.timers.tick(60_000);
      return error.mock.calls.map(({ arguments: said }) => String(said));
    };
    assert.deepEqual(await notes(50), []);
    assert.deepEqual(await notes(1_500), ["Queued: another operation runs before this one."]);
    mock.timers.reset();
  });

  it("gives up when the service is away for two minutes, or closes every stream at once", async () => {
    const away = Array.from({ length: 5 }, () => new Error("ECONNREFUSED"));
    await assert.rejects(follow(api(10, ...away), operationView(OPERATION), {}), /ECONNREFUSED/);
    // A proxy without a backend holds each stream for a while.
    const { events } = api(...Array.from({ length: 50 }, () => 4));
    const slow = async () => {
      now += 50_000;
      return events("", 0, AbortSignal.abort());
    };
    const client = { events: slow } as Pick<ApiClient, "events"> as ApiClient;
    await assert.rejects(follow(client, operationView(OPERATION), {}), {
      code: "RDEV_UNREACHABLE",
    });
  });
});
