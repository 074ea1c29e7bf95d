import assert from "node:assert/strict";
import { Lines } from "../../../sandbox/pipelines/lines.ts";

describe("the lines of a step's output", () => {
  const linesOf = (...chunks: (string | Buffer)[]) => {
    const found: string[] = [];
    const lines = new Lines((line) => found.push(line));
    for (const chunk of chunks) lines.add(Buffer.from(chunk));
    lines.end();
    return found;
  };

  it("are whole, however the output is cut into pieces", () => {
    assert.deepEqual(linesOf("a\nb", "c\n", "\n", "d"), ["a", "bc", "", "d"]);
    const [first, second] = [Buffer.from("ä").subarray(0, 1), Buffer.from("ä").subarray(1)];
    assert.deepEqual(linesOf(first, second, "\n"), ["ä"]);
    assert.deepEqual(linesOf(), []);
  });

  it("are cut at one megabyte", () => {
    const long = "x".repeat(1024 * 1024);
    assert.deepEqual(
      linesOf(`${long}yy`, "y\nz\n").map((line) => line.length),
      [long.length, 3, 1],
    );
  });
});
