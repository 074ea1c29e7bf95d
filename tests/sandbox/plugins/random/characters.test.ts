import assert from "node:assert/strict";
import fc from "fast-check";
import {
  DEFAULT_CHARACTERS,
  problemsWith,
  randomText,
} from "../../../../sandbox/plugins/random/characters.ts";

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

describe("random characters", () => {
  it("have the wished length, and at least the wished number of each class", () => {
    const least = fc.integer({ min: 0, max: 5 });
    fc.assert(
      fc.property(
        least,
        least,
        least,
        least,
        fc.integer({ min: 20, max: 40 }),
        (a, b, c, d, length) => {
          const text = randomText({
            ...DEFAULT_CHARACTERS,
            length,
            minLower: a,
            minUpper: b,
            minNumeric: c,
            minSpecial: d,
          });
          assert.equal(text.length, length);
          assert.ok(count(text, /[a-z]/g) >= a && count(text, /[A-Z]/g) >= b);
          assert.ok(count(text, /[0-9]/g) >= c && count(text, /[^a-zA-Z0-9]/g) >= d);
        },
      ),
    );
  });

  it("are only of the classes that are wished", () => {
    const plain = { ...DEFAULT_CHARACTERS, length: 500, special: false, upper: false };
    assert.match(randomText(plain), /^[a-z0-9]{500}$/);
    const own = { ...DEFAULT_CHARACTERS, length: 500, overrideSpecial: "-_", minSpecial: 1 };
    assert.match(randomText(own), /^[a-zA-Z0-9_-]{500}$/);
  });

  it("are even over the whole alphabet", () => {
    const digits = {
      ...DEFAULT_CHARACTERS,
      length: 20_000,
      lower: false,
      upper: false,
      special: false,
    };
    const text = randomText(digits);
    for (const digit of "0123456789") {
      const share = count(text, new RegExp(digit, "g")) / text.length;
      assert.ok(Math.abs(share - 0.1) < 0.02, `${digit} makes up ${share}`);
    }
  });

  it("put what a class must have anywhere, not in front", () => {
    const one = { ...DEFAULT_CHARACTERS, length: 4, numeric: false, special: false, minUpper: 1 };
    const lower = { ...one, upper: false };
    const places = new Set(Array.from({ length: 200 }, () => randomText(lower).search(/[A-Z]/)));
    assert.deepEqual([...places].sort(), [0, 1, 2, 3]);
  });

  it("cannot be made of what contradicts itself", () => {
    const wish = { ...DEFAULT_CHARACTERS, length: 3, minLower: 2, minUpper: 2 };
    assert.deepEqual(problemsWith(wish), [
      { property: "length", reason: "3 is less than the 4 characters that the minimums ask for" },
    ]);
    const none = { ...DEFAULT_CHARACTERS, length: 3, lower: false, upper: false };
    assert.equal(problemsWith({ ...none, numeric: false, special: false }).length, 1);
    assert.equal(problemsWith({ ...DEFAULT_CHARACTERS, length: 0 }).length, 1);
    assert.deepEqual(problemsWith({ ...DEFAULT_CHARACTERS, length: 8 }), []);
  });
});
