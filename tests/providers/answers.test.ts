import assert from "node:assert/strict";
import { isRateLimited, retryAfterOf } from "../../providers/answers.ts";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const of = (header: string | undefined, text = "") =>
  retryAfterOf({ headers: { "retry-after": header }, text }, NOW);

describe("retryAfterOf", () => {
  const cases: [header: string | undefined, body: string, ms: number | undefined][] = [
    ["3", "", 3000],
    ["0", "", 0],
    ["Sat, 31 Jan 2026 12:00:05 GMT", "", 5000],
    ["Sat, 31 Jan 2026 11:00:00 GMT", "", 0],
    ["soon", "", undefined],
    ["soon", '{"retry_after":7}', 7000],
    [undefined, '{"error":"slow down","retry_after":1.5}', 1500],
    ["2", '{"retry_after":7}', 2000],
    [undefined, '{"retry_after":"7"}', undefined],
    [undefined, '{"retry_after":-1}', undefined],
    [undefined, "null", undefined],
    [undefined, "<html>", undefined],
  ];
  for (const [header, body, ms] of cases) {
    it(`reads ${ms} from ${header ?? "no header"} and ${body || "no body"}`, () => {
      assert.equal(of(header, body), ms);
    });
  }

  it("reads the reset time of a GitHub rate limit that is used up", () => {
    const wait = (remaining: string, reset: string) =>
      retryAfterOf(
        { headers: { "x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset }, text: "" },
        NOW,
      );
    assert.equal(wait("0", String(NOW / 1000 + 40)), 40_000);
    assert.equal(wait("0", String(NOW / 1000 - 40)), 0);
    assert.equal(wait("0", "soon"), undefined);
    assert.equal(wait("7", String(NOW / 1000 + 40)), undefined);
  });
});

describe("isRateLimited", () => {
  const limited = (status: number, headers: Record<string, string> = {}) =>
    isRateLimited({ status, headers, text: "" });

  it("distinguishes a 403 that asks to wait from one that refuses", () => {
    assert.equal(limited(429), true);
    assert.equal(limited(403), false);
    assert.equal(limited(403, { "x-ratelimit-remaining": "4999" }), false);
    assert.equal(limited(403, { "x-ratelimit-remaining": "0" }), true);
    assert.equal(limited(403, { "retry-after": "60" }), true);
    assert.equal(limited(503, { "retry-after": "60" }), false);
  });
});
