import assert from "node:assert/strict";
import { cleanDetails, cleanText } from "../../../automation/audit/details.ts";
import { testVariables } from "../../support/variables.ts";

describe("cleanDetails", () => {
  const set = testVariables();

  it("redacts values with the name or the format of a secret", () => {
    const clean = cleanDetails({
      password: "hunter2!",
      nested: { apiKey: "abcdef", "X-Api-Key": "abcdef", GITEA_TOKEN: { deep: "abcdef" } },
      text: "sent Bearer abcdef12 to postgres://me:pa55word@db/x with ck_live_0123456789",
    });
    assert.deepEqual(clean, {
      password: "[secret]",
      nested: { apiKey: "[secret]", "X-Api-Key": "[secret]", GITEA_TOKEN: "[secret]" },
      text: "sent Bearer [secret] to postgres://me:[secret]@db/x with [secret]",
    });
  });

  it("redacts the connections' secrets in text, errors and keys", () => {
    set({ GITEA_TOKEN: "t0p-s3cret" });
    const clean = cleanDetails({
      list: ["a t0p-s3cret"],
      error: new Error("refused t0p-s3cret"),
      "key t0p-s3cret": 1,
    });
    assert.doesNotMatch(JSON.stringify(clean), /t0p-s3cret/);
    assert.equal(cleanText("by t0p-s3cret"), "by [secret]");
  });

  it("redacts a secret that spans the cut of a long text", () => {
    set({ GITEA_TOKEN: "0123456789abcdef" });
    for (let before = 80; before <= 100; before += 1) {
      assert.doesNotMatch(cleanText(`${" ".repeat(before)}0123456789abcdef`, 100), /01234/);
    }
  });

  it("limits width, depth and size", () => {
    const wide = cleanDetails({ list: Array.from({ length: 500 }, () => 1) });
    assert.equal((wide["list"] as unknown[]).length, 101);
    let deep: Record<string, unknown> = {};
    for (let level = 0; level < 50; level += 1) deep = { deep };
    assert.ok(JSON.stringify(cleanDetails(deep)).length < 200);
    const large = Object.fromEntries(
      Array.from({ length: 90 }, (_, index) => [`key${index}`, "x".repeat(3_000)]),
    );
    assert.match(String(cleanDetails(large)["omitted"]), /too many/);
  });

  it("keeps plain JSON unchanged, including an object that occurs twice", () => {
    const twice = { a: 1 };
    const plain = { text: "é", n: -1.5, yes: true, none: null, list: [twice, twice] };
    assert.deepEqual(cleanDetails(plain), plain);
  });
});
