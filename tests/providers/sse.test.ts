import assert from "node:assert/strict";
import fc from "fast-check";
import { serverSentEvents, type ServerSentEvent } from "../../providers/sse.ts";

async function* chunksOf(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(text: string, size = 1024): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of serverSentEvents(chunksOf(Buffer.from(text), size))) events.push(event);
  return events;
}

describe("serverSentEvents", () => {
  it("reads fields, comments, data of several lines and every line ending", async () => {
    const text =
      "\ufeff: hello\n\nid: 1\ndata: one\ndata:two\n\nevent: ping\r\ndata\r\n\r\n" +
      "data:  spaced\rretry: 10\rignored\r\r" +
      "id: 2\ndata: a: b\n\ndata: cut off\n";
    assert.deepEqual(await read(text), [
      { type: "message", data: "one\ntwo", id: "1" },
      { type: "ping", data: "", id: "1" },
      { type: "message", data: " spaced", id: "1" },
      { type: "message", data: "a: b", id: "2" },
    ]);
  });

  it("reads the same however the bytes are split", async () => {
    const data = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll(/[\r\n]/g, ""));
    const end = fc.constantFrom("\n", "\r\n", "\r");
    await fc.assert(
      fc.asyncProperty(
        fc.array(data),
        end,
        fc.integer({ min: 1, max: 9 }),
        async (all, nl, size) => {
          const text = all.map((each, id) => `id: ${id}${nl}data: ${each}${nl}${nl}`).join("");
          // A CR at the very end could be followed by an LF, so more text follows.
          const events = await read(`${text}: end${nl}: end`, size);
          assert.deepEqual(
            events,
            all.map((each, id) => ({ type: "message", data: each, id: String(id) })),
          );
        },
      ),
    );
  });
});
