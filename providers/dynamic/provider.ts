import { flushCompileCache } from "node:module";
import { isDeepStrictEqual } from "node:util";
import { type dynamic, runtime } from "@pulumi/pulumi";
import pTimeout from "p-timeout";
import type { z } from "zod";
import { connectionSecrets } from "../../core/connections.ts";
import { DELETE_BEGUN } from "../../core/engine-values.ts";
import { InfraError, redact, userMessage } from "../../core/errors.ts";
import { ownerBefore, type Ownership } from "../../core/ownership.ts";
import type { Definition, Failure, Found } from "./definition.ts";
import { notice } from "../notice.ts";

/** In ms. The engine sets no limit of its own. */
const DEADLINE = 5 * 60 * 1000;

/** The engine's placeholder, in a preview, for a value that is not known yet. */
export const UNKNOWN: string = runtime.unknownValue;

/** Whether a value is unknown or contains an unknown value. */
export function hasUnknown(value: unknown): boolean {
  if (value === UNKNOWN) return true;
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(hasUnknown);
}

let isCompiledCodeKept = false;

/** The engine ends a plugin with SIGKILL, and Node writes its compile cache only at a normal exit. */
function keepCompiledCode(): void {
  if (isCompiledCodeKept) return;
  isCompiledCodeKept = true;
  flushCompileCache();
}

type Props = Record<string, unknown>;

/** Pulumi's interface, with every method required. */
export interface Provider extends dynamic.ResourceProvider<Props, Props> {
  check(olds: Props | undefined, news: Props): Promise<{ inputs: Props; failures: Failure[] }>;
  diff(id: string, olds: Props, news: Props): Promise<dynamic.DiffResult>;
  create(inputs: Props): Promise<{ id: string; outs: Props }>;
  update(id: string, olds: Props, news: Props): Promise<{ outs: Props }>;
  /** Returns an empty id if the object is gone. */
  read(id: string, props?: Props): Promise<{ id: string; props: Props; inputs?: Props }>;
  delete(id: string, props: Props): Promise<void>;
  /**
   * Returns the id of the object with these inputs if it carries this project's mark. Only rdev-infra
   * calls it; the engine does not know it. Secret inputs may be missing.
   */
  find(inputs: Props): Promise<string | undefined>;
}

/** Makes Pulumi's provider for a definition. It is stateless, so one serves every resource. */
export function dynamicProvider<I extends z.ZodObject, A extends z.ZodObject, C, L>(
  definition: Definition<I, A, C, L>,
): Provider {
  type Inputs = z.output<I>;
  type Wanted = Parameters<typeof definition.find>[1];
  const keys = Object.keys(definition.inputs.shape);
  const onlyInputs = (props: Props): Props =>
    Object.fromEntries(keys.filter((key) => key in props).map((key) => [key, props[key]]));

  /** Runs one operation with a connection, within the deadline, and removes secrets from its errors. */
  async function operate<T>(states: Props[], work: (client: C) => Promise<T>): Promise<T> {
    let client: C | undefined;
    try {
      const deadline = definition.deadline ?? DEADLINE;
      const text = `The ${definition.noun} was not done within ${deadline / 1000} s.`;
      const connectAndWork = async () => work((client = await definition.connect()));
      return await pTimeout(connectAndWork(), {
        milliseconds: deadline,
        message: new InfraError("RDEV_DEADLINE", text),
      });
    } catch (error) {
      throw cleanError(error, [
        ...connectionSecrets(),
        ...states.flatMap((props) => definition.secrets.flatMap((key) => texts(props[key]))),
      ]);
    } finally {
      if (client !== undefined) await definition.close?.(client).catch(() => undefined);
      keepCompiledCode();
    }
  }

  /** Whether the object with this id still exists after an interrupted delete. */
  async function stillExists(id: string, olds: Props): Promise<boolean> {
    return operate([olds], async (client) => {
      const found = await definition.find(client, olds as Wanted);
      if (!found) await definition.assertVisible?.(client, olds as Wanted);
      return found?.id === id;
    });
  }

  return {
    async check(olds: Props | undefined, news: Props) {
      const { inputs, failures } = checkInputs(definition, news);
      // The owner of a new stack is not known in its preview, and no rule uses it.
      if (failures.length > 0 || hasUnknown({ ...inputs, owner: undefined })) {
        return { inputs, failures };
      }
      const last = onlyInputs(olds ?? {}) as Partial<Inputs>;
      failures.push(...(definition.rules?.(inputs as Inputs, last) ?? []));
      if (failures.length > 0 || !definition.lookUp) return { inputs, failures };
      const found = await operate([inputs], async (client) =>
        definition.lookUp?.(client, inputs as Inputs),
      );
      return { inputs: { ...inputs, ...found }, failures };
    },

    async diff(id, olds: Props, news: Props) {
      const changed = keys.filter((key) => !same(olds[key], news[key]));
      // An unknown value may turn out to equal the old one, so it announces no replacement.
      const replaces = definition.replaceOn.filter(
        (key) => changed.includes(key) && !hasUnknown(news[key]),
      );
      const wasDeleted = olds[DELETE_BEGUN] === true && !(await stillExists(id, withOwner(olds)));
      return {
        changes: changed.length > 0 || olds[DELETE_BEGUN] === true,
        replaces: wasDeleted && replaces.length === 0 ? keys.slice(0, 1) : replaces,
        deleteBeforeReplace: true,
      };
    },

    async create(props: Props) {
      const inputs = onlyInputs(props) as Inputs;
      let id: string | undefined;
      try {
        return await operate([props], async (client) => {
          const found = await definition.find(client, inputs as Wanted);
          if (found && !MAY_ADOPT.includes(found.ownership)) throw notOurs(definition.noun, found);
          id = found?.id ?? (await definition.create(client, inputs));
          const attributes = await definition.apply(client, id, inputs, undefined, found?.object);
          return { id, outs: { ...inputs, ...attributes } };
        });
      } catch (error) {
        if (id === undefined) throw error;
        // With id and properties the engine records the object, and the next `up` finishes it.
        const reasons = [(error as Error).message];
        throw Object.assign(error as Error, { id, properties: inputs, reasons });
      }
    },

    async update(id, state: Props, props: Props) {
      const inputs = onlyInputs(props) as Inputs;
      const olds = withOwner(state);
      return operate([olds, props], async (client) => {
        const found = await definition.find(client, { ...olds, ...inputs } as Wanted);
        const own = found?.id === id ? found : undefined;
        // The mark may be the one that this state's owner wrote earlier. Any other owner's is refused.
        if (own && MAY_BE_OLD_MARK.includes(own.ownership)) {
          const before = await definition.find(client, olds as Wanted);
          if (before?.ownership !== "ours") throw notOurs(definition.noun, own);
        }
        try {
          const known = olds[DELETE_BEGUN] === true ? onlyInputs(olds) : olds;
          const last = known as Parameters<typeof definition.apply>[3];
          const attributes = await definition.apply(client, id, inputs, last, own?.object);
          return { outs: { ...inputs, ...attributes } };
        } catch (error) {
          if (!isGone(error)) throw error;
          await definition.assertVisible?.(client, inputs as Wanted);
          throw gone(definition.noun, id);
        }
      });
    },

    async read(id, props: Props = {}) {
      return operate([props], async (client) => {
        const state = withOwner(props) as Parameters<typeof definition.read>[2];
        const live = await definition.read(client, id, state);
        if (live === undefined) {
          await definition.assertVisible?.(client, state);
          return { id: "", props: {} };
        }
        const now = { ...props, ...live };
        return { id, props: now, inputs: onlyInputs(now) };
      });
    },

    async delete(id, props: Props) {
      await operate([props], async (client) => {
        const state = withOwner(props) as Parameters<typeof definition.delete>[2];
        const found = await definition.find(client, state);
        if (found?.id !== id) {
          await definition.assertVisible?.(client, state);
          return;
        }
        if (found.ownership !== "ours") {
          const reason = found.reason ?? "does not carry our mark";
          notice(`The ${definition.noun} ${id} ${reason}, so it is left alone.`);
          return;
        }
        await definition.delete(client, id, state);
      });
    },

    async find(props: Props) {
      return operate([props], async (client) => {
        const wanted = onlyInputs(withOwner(props)) as Wanted;
        const found = await definition.find(client, wanted);
        if (!found) await definition.assertVisible?.(client, wanted);
        return found?.ownership === "ours" ? found.id : undefined;
      });
    },
  };
}

/** Checks each property by itself, so unknown values pass and every wrong property is named. */
function checkInputs(
  definition: { inputs: z.ZodObject; secrets: readonly string[] },
  news: Props,
): { inputs: Props; failures: Failure[] } {
  const inputs: Props = {};
  const failures: Failure[] = [];
  const secret = new Set<string>(definition.secrets);
  for (const [key, schema] of Object.entries(definition.inputs.shape)) {
    const value = news[key];
    if (hasUnknown(value)) {
      inputs[key] = value;
      continue;
    }
    const parsed = (schema as z.ZodType).safeParse(value);
    if (parsed.success) {
      if (parsed.data !== undefined) inputs[key] = parsed.data;
      continue;
    }
    inputs[key] = value;
    const got =
      value === undefined || secret.has(key) ? "" : `, instead got ${JSON.stringify(value)}`;
    for (const issue of parsed.error.issues) {
      failures.push({
        property: [key, ...issue.path].join("."),
        reason: value === undefined ? "is missing" : issue.message + got,
      });
    }
  }
  return { inputs, failures };
}

/** Compares two values as the state stores them, where an undefined property is absent. */
function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(plain(a), plain(b));
}

function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** Every text in a value, at any depth. */
function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(texts) : [];
}

/** A create adopts its own object after an interrupted run, and an object that was retained. */
const MAY_ADOPT: readonly Ownership[] = ["ours", "retained"];

/** An update changes an object with one of these marks only if the owner in its state wrote it. */
const MAY_BE_OLD_MARK: readonly Ownership[] = ["before", "others"];

/** Adds the owner to a state of an earlier version, which names only a project. */
function withOwner(props: Props): Props {
  const { owner, project } = props;
  if (owner !== undefined || typeof project !== "string") return props;
  return { ...props, owner: ownerBefore(project) };
}

function notOurs(noun: string, { id, ownership, reason }: Found): InfraError {
  const whose: Partial<Record<Ownership, string>> = {
    before:
      "carries the mark of an earlier version, which does not name its platform, " +
      "and this stack's state does not know it",
    others: "carries the mark of another platform, project or stack",
  };
  return new InfraError(
    "RDEV_NOT_OURS",
    `The ${noun} ${id} exists already and ` +
      `${reason ?? whose[ownership] ?? "does not carry this project's mark"}, so it was not made ` +
      "by this stack. It is left untouched. Choose another slug, or remove it yourself.",
  );
}

function isGone(error: unknown): boolean {
  return error instanceof InfraError && (error.status === 404 || error.code === "RDEV_GONE");
}

function gone(noun: string, id: string): InfraError {
  return new InfraError(
    "RDEV_GONE",
    `The ${noun} ${id} is in the state, but no longer on its server. ` +
      "Run a refresh, then up again to create it anew.",
  );
}

/** Removes secrets, and the name and stack, because the SDK shows both to the user. */
function cleanError(error: unknown, secrets: string[]): Error {
  // The longest comes first, because a secret that is part of another would leave the rest of it.
  const longestFirst = secrets.toSorted((a, b) => b.length - a.length);
  const clean = new Error(redact(userMessage(error), longestFirst));
  clean.name = "error";
  clean.stack = "";
  return clean;
}
