import { isDeepStrictEqual } from "node:util";
import type { dynamic } from "@pulumi/pulumi";
import type { z } from "zod";
import { connectionSecrets } from "../../core/connections.ts";
import { InfraError, redact, userMessage } from "../../core/errors.ts";
import type { Definition, Failure } from "./definition.ts";
import { hasUnknown } from "./unknowns.ts";

/** For one operation on one object, in ms: the engine itself sets no limit. */
const DEADLINE = 5 * 60 * 1000;

type Props = Record<string, unknown>;

/** Pulumi's provider for a definition. Stateless: one serves every resource of its type. */
export function dynamicProvider<I extends z.ZodObject, A extends z.ZodObject, C>(
  definition: Definition<I, A, C>,
): Required<Omit<dynamic.ResourceProvider, "configure">> {
  type Inputs = z.output<I>;
  const keys = Object.keys(definition.inputs.shape);
  const onlyInputs = (props: Props): Props =>
    Object.fromEntries(keys.filter((key) => key in props).map((key) => [key, props[key]]));

  /** Runs one operation: connects, closes, bounds its time and cleans its errors. */
  async function operate<T>(props: Props, work: (client: C) => Promise<T>): Promise<T> {
    const secrets = [...connectionSecrets(), ...secretValues(definition, props)];
    let client: C | undefined;
    try {
      client = await definition.connect();
      return await withDeadline(definition.noun, work(client));
    } catch (error) {
      throw cleanError(error, secrets);
    } finally {
      if (client !== undefined) await definition.close?.(client).catch(() => undefined);
    }
  }

  return {
    async check(olds: Props | undefined, news: Props) {
      const { inputs, failures } = checkInputs(definition, news);
      if (failures.length === 0 && !hasUnknown(inputs)) {
        failures.push(
          ...(definition.rules?.(inputs as Inputs, onlyInputs(olds ?? {}) as Partial<Inputs>) ??
            []),
        );
      }
      return { inputs, failures };
    },

    async diff(_id, olds: Props, news: Props) {
      const changed = keys.filter((key) => !same(olds[key], news[key]));
      // An unknown may turn out to be the old value: a replacement is announced only when it is sure.
      const replaces = definition.replaceOn.filter(
        (key) => changed.includes(key) && !hasUnknown(news[key]),
      );
      return { changes: changed.length > 0, replaces, deleteBeforeReplace: true };
    },

    async create(props: Props) {
      const inputs = onlyInputs(props) as Inputs;
      return operate(props, async (client) => {
        const found = await definition.find(client, inputs);
        if (found && !found.owned) throw notOurs(definition.noun, found.id);
        const id = found?.id ?? (await definition.create(client, inputs));
        try {
          return { id, outs: { ...inputs, ...(await definition.apply(client, id, inputs)) } };
        } catch (error) {
          // With id and properties the engine keeps what exists, and the next `up` finishes it.
          const { message } = cleanError(error, secretValues(definition, props));
          throw Object.assign(new Error(message), { id, properties: inputs, reasons: [message] });
        }
      });
    },

    async update(id, olds: Props, props: Props) {
      const inputs = onlyInputs(props) as Inputs;
      return operate({ ...olds, ...props }, async (client) => {
        try {
          const last = onlyInputs(olds) as Partial<Inputs>;
          return { outs: { ...inputs, ...(await definition.apply(client, id, inputs, last)) } };
        } catch (error) {
          throw error instanceof InfraError && error.status === 404
            ? new InfraError(
                "RDEV_GONE",
                `The ${definition.noun} ${id} is in the state, but no longer on its server. ` +
                  "Run a refresh, then up again: it will be made anew.",
              )
            : error;
        }
      });
    },

    async read(id, props: Props = {}) {
      return operate(props, async (client) => {
        const state = props as Parameters<typeof definition.read>[2];
        const live = await definition.read(client, id, state);
        if (live === undefined) return { id: "", props: {} };
        const now = { ...props, ...live };
        return { id, props: now, inputs: onlyInputs(now) };
      });
    },

    async delete(id, props: Props) {
      await operate(props, async (client) => {
        const state = props as Parameters<typeof definition.delete>[2];
        const found = await definition.find(client, state);
        if (found?.id !== id) return;
        if (!found.owned) {
          console.error(`The ${definition.noun} ${id} no longer carries our mark: left alone.`);
          return;
        }
        await definition.delete(client, id, state);
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

function secretValues(definition: { secrets: readonly string[] }, props: Props): string[] {
  return definition.secrets.map((key) => props[key]).filter((value) => typeof value === "string");
}

function notOurs(noun: string, id: string): InfraError {
  return new InfraError(
    "RDEV_NOT_OURS",
    `The ${noun} ${id} exists already and does not carry this project's mark, so it was not made ` +
      "by rdev-infra for it. It is left untouched. Choose another slug, or remove it yourself.",
  );
}

/** The SDK prints an error's stack and name to the user: neither is left on it. */
function cleanError(error: unknown, secrets: readonly string[]): Error {
  if (error instanceof Error && "reasons" in error) return error;
  const clean = new Error(redact(userMessage(error), secrets));
  clean.name = "error";
  clean.stack = "";
  return clean;
}

async function withDeadline<T>(noun: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const text = `The ${noun} was not done within ${DEADLINE / 1000} s.`;
      reject(new InfraError("RDEV_DEADLINE", text));
    }, DEADLINE);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
