/** Random text from character classes. `randomInt` of node:crypto has no modulo bias. */
import { randomInt } from "node:crypto";

export interface Characters {
  readonly length: number;
  readonly lower: boolean;
  readonly upper: boolean;
  readonly numeric: boolean;
  readonly special: boolean;
  readonly minLower: number;
  readonly minUpper: number;
  readonly minNumeric: number;
  readonly minSpecial: number;
  /** Special characters that replace the default ones. */
  readonly overrideSpecial: string;
}

/** The defaults of @pulumi/random. */
export const DEFAULT_CHARACTERS: Omit<Characters, "length"> = {
  lower: true,
  upper: true,
  numeric: true,
  special: true,
  minLower: 0,
  minUpper: 0,
  minNumeric: 0,
  minSpecial: 0,
  overrideSpecial: "",
};

function classesOf(characters: Characters) {
  const { overrideSpecial } = characters;
  return [
    { use: characters.lower, least: characters.minLower, from: "abcdefghijklmnopqrstuvwxyz" },
    { use: characters.upper, least: characters.minUpper, from: "ABCDEFGHIJKLMNOPQRSTUVWXYZ" },
    { use: characters.numeric, least: characters.minNumeric, from: "0123456789" },
    {
      use: characters.special,
      least: characters.minSpecial,
      from: overrideSpecial === "" ? "!@#$%&*()-_=+[]{}<>:?" : overrideSpecial,
    },
  ];
}

/** Returns the errors in the options, by property; empty if a text can be generated. */
export function problemsWith(characters: Characters): { property: string; reason: string }[] {
  const { length, minLower, minUpper, minNumeric, minSpecial } = characters;
  const least = minLower + minUpper + minNumeric + minSpecial;
  if (!Number.isInteger(length) || length < 1) {
    return [{ property: "length", reason: `must be a whole number of at least 1, not ${length}` }];
  }
  if (least > length) {
    const reason = `${length} is less than the ${least} characters that the minimums ask for`;
    return [{ property: "length", reason }];
  }
  if (!classesOf(characters).some(({ use }) => use)) {
    const reason = "one of lower, upper, numeric and special must be true";
    return [{ property: "lower", reason }];
  }
  return [];
}

const pick = (from: string): string => from.charAt(randomInt(from.length));

/** A text of the given length with the minimum of every class, at random positions. */
export function randomText(characters: Characters): string {
  const classes = classesOf(characters);
  const all = classes.map(({ use, from }) => (use ? from : "")).join("");
  const text = classes.flatMap(({ least, from }) =>
    Array.from({ length: least }, () => pick(from)),
  );
  while (text.length < characters.length) text.push(pick(all));
  return shuffled(text).join("");
}

function shuffled(items: readonly string[]): string[] {
  const mixed: string[] = [];
  for (const item of items) {
    const index = randomInt(mixed.length + 1);
    mixed.push(mixed[index] ?? item);
    mixed[index] = item;
  }
  return mixed;
}
