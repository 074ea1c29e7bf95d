import assert from "node:assert/strict";
import fc from "fast-check";
import {
  databaseName,
  parseSlug,
  RESERVED_SLUGS,
  slugFromName,
  slugProblems,
} from "../../core/slug.ts";
import { InfraError } from "../../core/errors.ts";
import { thrown } from "../support/errors.ts";

describe("a slug", () => {
  for (const slug of ["my-app", "abc", "a1b", "a".repeat(40), "shop-2"]) {
    it(`accepts ${slug}`, () => assert.equal(parseSlug(slug), slug));
  }

  for (const [slug, problem] of [
    ["", "it is empty"],
    ["ab", "shorter than 3"],
    ["a".repeat(41), "it has 41 characters, more than 40"],
    ["My-App", `it has "M", "A"`],
    ["my_app", `it has "_"`],
    ["my-app-", "does not end with a letter or a digit"],
    ["-my-app", "does not begin with a letter"],
    ["1-app", "does not begin with a letter"],
    ["my--app", "two hyphens in a row"],
    ["postgres", "it is reserved"],
    ["kube-system", "names that begin with kube- are reserved"],
    ["pg-data", "names that begin with pg- are reserved"],
    ["../etc", `it has ".", "/"`],
  ] as const) {
    it(`refuses ${JSON.stringify(slug)}`, () => {
      const error = thrown("RDEV_SLUG", () => parseSlug(slug));
      assert.ok(error.message.includes(problem), error.message);
      assert.ok(error.message.includes(`"${slug}"`), error.message);
    });
  }

  it("names every problem at once", () => {
    assert.equal(slugProblems("_A").length, 4);
  });

  it("reserves only names that are otherwise valid slugs", () => {
    for (const reserved of RESERVED_SLUGS)
      assert.deepEqual(slugProblems(reserved), ["it is reserved"]);
  });

  it("is made from a name", () => {
    assert.equal(slugFromName("My First Project!"), "my-first-project");
    assert.equal(slugFromName("  Café  Zürich 2 "), "cafe-zurich-2");
    assert.equal(slugFromName("2048 game"), "game");
    assert.equal(
      slugFromName("A very long name of a project that nobody would type"),
      "a-very-long-name-of-a-project-that",
    );
  });

  for (const name of ["", "!!!", "日本語", "42", "API"]) {
    it(`is not made from ${JSON.stringify(name)}`, () => {
      const error = thrown("RDEV_SLUG", () => slugFromName(name));
      assert.ok(error.message.includes(JSON.stringify(name)), error.message);
    });
  }

  it("is valid whenever a name gives one", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 80 }), (name) => {
        let slug: string;
        try {
          slug = slugFromName(name);
        } catch (error) {
          return error instanceof InfraError && error.code === "RDEV_SLUG";
        }
        return (
          slugProblems(slug).length === 0 &&
          /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(slug) && // RFC 1035 label
          slugFromName(slug) === slug
        );
      }),
    );
  });

  it("gives different slugs different database names", () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/);
    const slug = fc.array(word, { minLength: 1, maxLength: 5 }).map((words) => words.join("-"));
    fc.assert(fc.property(slug, slug, (a, b) => a === b || databaseName(a) !== databaseName(b)));
  });
});
