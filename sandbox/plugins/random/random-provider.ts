import { randomBytes } from "node:crypto";
import { changedInputs } from "../diff.ts";
import type { Provider } from "../provider.ts";
import { hasUnknown, markSecrets, reveal, secret, type Json, type Properties } from "../values.ts";
import { sdkVersion } from "../../../automation/engine/versions.ts";
import { DEFAULT_CHARACTERS, problemsWith, randomText, type Characters } from "./characters.ts";

interface Kind {
  /** What is wrong with the inputs, by property. */
  problems(inputs: Properties): { property: string; reason: string }[];
  make(inputs: Properties): { id: string; outputs: Properties };
}

function charactersOf(inputs: Properties): Characters {
  // The SDK's typings have checked the types; only absent inputs take a default.
  return { ...DEFAULT_CHARACTERS, ...inputs } as unknown as Characters;
}

const problemsWithText = (inputs: Properties) => problemsWith(charactersOf(inputs));

const textOutputs = (inputs: Properties): Properties => {
  const characters = charactersOf(inputs);
  // `number` is the deprecated name of `numeric`; both are outputs.
  return { ...(characters as unknown as Properties), number: characters.numeric };
};

const KINDS: Readonly<Record<string, Kind>> = {
  /** Without the output `bcryptHash`, which nothing here reads and which needs a dependency. */
  "random:index/randomPassword:RandomPassword": {
    problems: problemsWithText,
    make: (inputs) => ({
      id: "none",
      outputs: { ...textOutputs(inputs), result: secret(randomText(charactersOf(inputs))) },
    }),
  },
  "random:index/randomString:RandomString": {
    problems: problemsWithText,
    make: (inputs) => {
      const result = randomText(charactersOf(inputs));
      return { id: result, outputs: { ...textOutputs(inputs), result } };
    },
  },
  "random:index/randomId:RandomId": {
    problems: ({ byteLength }) =>
      Number.isInteger(byteLength) && Number(byteLength) >= 1
        ? []
        : [{ property: "byteLength", reason: "must be a whole number of at least 1" }],
    make: (inputs) => idOutputs(inputs, randomBytes(Number(inputs["byteLength"]))),
  },
};

function idOutputs(inputs: Properties, bytes: Buffer): { id: string; outputs: Properties } {
  const prefix = typeof inputs["prefix"] === "string" ? inputs["prefix"] : "";
  const id = bytes.toString("base64url");
  const outputs = {
    ...inputs,
    b64Url: prefix + id,
    b64Std: prefix + bytes.toString("base64"),
    hex: prefix + bytes.toString("hex"),
    dec: prefix + BigInt(`0x${bytes.toString("hex")}`).toString(),
  };
  return { id, outputs };
}

function kindOf(type: string): Kind {
  const kind = KINDS[type];
  if (kind === undefined) {
    const known = Object.keys(KINDS).map((token) => token.split(":").at(-1));
    throw new Error(
      `the stand-in for the plugin random supports ${known.join(", ")}, but not ${type}: use the official plugin`,
    );
  }
  return kind;
}

const isGiven = ([, value]: [string, Json]): boolean => value !== null;

export function randomProvider(): Provider {
  return {
    version: sdkVersion("random"),
    previews: false,
    configure: () => undefined,
    check: ({ type, news }) => {
      const inputs = Object.fromEntries(Object.entries(news).filter(isGiven));
      const failures = hasUnknown(news) ? [] : kindOf(type).problems(reveal(inputs));
      return { inputs, failures };
    },
    // Every change of the inputs makes a new random value.
    diff: ({ oldInputs, news, ignoreChanges }) => ({
      changes: changedInputs(reveal(oldInputs), reveal(news), ignoreChanges),
      replaces: () => true,
    }),
    create: ({ type, inputs }) => {
      const { id, outputs } = kindOf(type).make(reveal(inputs));
      return { id, outputs: markSecrets(outputs, inputs) };
    },
    read: ({ id, inputs, outputs }) => {
      if (Object.keys(outputs).length > 0) return { id, inputs, outputs };
      throw new Error("the stand-in for the plugin random cannot import: use the official plugin");
    },
    update: ({ outputs }) => outputs,
    delete: () => undefined,
  };
}
