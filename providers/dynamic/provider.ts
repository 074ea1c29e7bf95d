import { isDeepStrictEqual } from "node:util";
import type { dynamic } from "@pulumi/pulumi";
import type { z } from "zod";
import { connectionSecrets } from "../../core/connections.ts";
import { DELETE_BEGUN } from "../../core/engine-values.ts";
import { InfraError, redact, userMessage } from "../../core/errors.ts";
import { ownerBefore, type Ownership } from "../../core/ownership.ts";
import type { Definition, Failure, Found } from "./definition.ts";
import { hasUnknown } from "./unknowns.ts";

/** In ms. The engine itself sets no limit. */
const DEADLINE = 5 * 60 * 1000;

type Props = Record<string, unknown>;

/** Pulumi's own interface, with nothing of it left open. */
export interface Provider extends dynamic.ResourceProvider<Props, Props> {
  check(olds: Props | undefined, news: Props): Promise<{ inputs: Props; failures: Failure[] }>;
  diff(id: string, olds: Props, news: Props): Promise<dynamic.DiffResult>;
  create(inputs: Props): Promise<{ id: string; outs: Props }>;
  update(id: string, olds: Props, news: Props): Promise<{ outs: Props }>;
  /** With an empty id where the object is gone. */
  read(id: string, props?: Props): Promise<{ id: string; props: Props; inputs?: Props }>;
  delete(id: string, props: Props): Promise<void>;
  /**
   * The id of the object of these inputs that carries this project's mark, for rdev-infra itself: the
   * engine does not know of it. Secret inputs may be missing.
   */
  find(inputs: Props): Promise<string | undefined>;
}

/** Pulumi's provider for a definition. Stateless: one serves every resource of its type. */
export function dynamicProvider<I extends z.ZodObject, A extends z.ZodObject, C>(
  definition: Definition<I, A, C>,
): Provider {
  type Inputs = z.output<I>;
  type Wanted = Parameters<typeof definition.find>[1];
  const keys = Object.keys(definition.inputs.shape);
  const onlyInputs = (props: Props): Props =>
    Object.fromEntries(keys.filter((key) => key in props).map((key) => [key, props[key]]));

  /** Runs one operation: connects, closes, bounds its time and cleans its errors. */
  async function operate<T>(states: Props[], work: (client: C) => Promise<T>): Promise<T> {
    let client: C | undefined;
    try {
      const done = async () => work((client = await definition.connect()));
      return await withDeadline(definition.noun, definition.deadline ?? DEADLINE, done());
    } catch (error) {
      throw cleanError(error, [
        ...connectionSecrets(),
        ...states.flatMap((props) => definition.secrets.flatMap((key) => texts(props[key]))),
      ]);
    } finally {
      if (client !== undefined) await definition.close?.(client).catch(() => undefined);
    }
  }

  /** Whether a delete that had begun has left an object of this id. */
  async function isThere(id: string, olds: Props): Promise<boolean> {
    return operate([olds], async (client) => {
      const found = await definition.find(client, olds as Wanted);
      if (!found) await definition.assertVisible?.(client, olds as Wanted);
      return found?.id === id;
    });
  }

  return {
    async check(olds: Props | undefined, news: Props) {
      const { inputs, failures } = checkInputs(definition, news);
      // The owner of a new stack is not known in its preview; no rule asks for it.
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
      // An unknown may turn out to be the old value: a replacement is announced only when it is sure.
      const replaces = definition.replaceOn.filter(
        (key) => changed.includes(key) && !hasUnknown(news[key]),
      );
      const wasDeleted = olds[DELETE_BEGUN] === true && !(await isThere(id, withOwner(olds)));
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
          return { id, outs: { ...inputs, ...(await definition.apply(client, id, inputs)) } };
        });
      } catch (error) {
        if (id === undefined) throw error;
        // With id and properties the engine keeps what exists, and the next `up` finishes it.
        const reasons = [(error as Error).message];
        throw Object.assign(error as Error, { id, properties: inputs, reasons });
      }
    },

    async update(id, state: Props, props: Props) {
      const inputs = onlyInputs(props) as Inputs;
      const olds = withOwner(state);
      return operate([olds, props], async (client) => {
        // An update takes over the mark of its own state, and never the object of another owner.
        const now = await definition.find(client, { ...olds, ...inputs } as Wanted);
        if (now?.id === id && MUST_ASK_STATE.includes(now.ownership)) {
          const before = await definition.find(client, olds as Wanted);
          if (before?.ownership !== "ours") throw notOurs(definition.noun, now);
        }
        try {
          const known = olds[DELETE_BEGUN] === true ? onlyInputs(olds) : olds;
          const last = known as Parameters<typeof definition.apply>[3];
          return { outs: { ...inputs, ...(await definition.apply(client, id, inputs, last)) } };
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
          console.error(`The ${definition.noun} ${id} ${reason}: it is left alone.`);
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

/** Checks each property by itself, so that unknown ones pass and all that is wrong is named. */
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

/** Equal as the state keeps them: a property that is undefined is one that is absent. */
function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(plain(a), plain(b));
}

function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** Every text in a value, however deep. */
function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(texts) : [];
}

/** What a create takes up: its own object after an interrupted run, or one kept on purpose. */
const MAY_ADOPT: readonly Ownership[] = ["ours", "retained"];

/** What an update touches only where the state's own owner marked it. */
const MUST_ASK_STATE: readonly Ownership[] = ["before", "others"];

/** The properties of a state; one of the versions before names a project in place of an owner. */
function withOwner(props: Props): Props {
  const { owner, project } = props;
  if (owner !== undefined || typeof project !== "string") return props;
  return { ...props, owner: ownerBefore(project) };
}

function notOurs(noun: string, { id, ownership, reason }: Found): InfraError {
  const whose: Partial<Record<Ownership, string>> = {
    before:
      "carries the mark of an earlier version, which does not say which platform made it, " +
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
      "Run a refresh, then up again: it will be made anew.",
  );
}

/** The SDK prints an error's stack and name to the user: neither is left on it. */
function cleanError(error: unknown, secrets: string[]): Error {
  // The longest first: one that is a part of another would leave the rest of it.
  const longestFirst = secrets.toSorted((a, b) => b.length - a.length);
  const clean = new Error(redact(userMessage(error), longestFirst));
  clean.name = "error";
  clean.stack = "";
  return clean;
}

async function withDeadline<T>(noun: string, deadline: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const text = `The ${noun} was not done within ${deadline / 1000} s.`;
      reject(new InfraError("RDEV_DEADLINE", text));
    }, deadline);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
