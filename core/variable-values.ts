/** The forms that values of environment variables have. No message repeats a value, because it may be a secret. */
import { z } from "zod";
import { isRecord } from "./engine-values.ts";

export const url = (...protocols: string[]) =>
  z.string("is missing").check((context) => {
    const protocol = URL.canParse(context.value) ? new URL(context.value).protocol : "";
    if (!protocols.includes(protocol)) {
      const message = `is not a URL that begins with ${protocols.map((p) => `${p}//`).join(" or ")}`;
      context.issues.push({ code: "custom", message, input: context.value });
    }
  });

export const httpUrl = url("http:", "https:").transform((text) => text.replace(/\/+$/, ""));

export const credential = z
  .string("is missing")
  .min(1, "is empty")
  // A line break would end a header early. It is always a copy-and-paste mistake.
  .regex(/^[\x21-\x7e]*$/, "contains white space, a line break or a character outside ASCII");

export const flag = (fallback: boolean) =>
  z
    .enum(["true", "false"], 'is neither "true" nor "false"')
    .optional()
    .transform((text) => (text === undefined ? fallback : text === "true"));

export const count = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, "is not a whole number")
    .transform(Number)
    .refine((n) => n >= min && n <= max, `is not between ${min} and ${max}`);

export const listen = z
  .string()
  .regex(
    /^(\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}$/i,
    "is not an address with a port, such as 127.0.0.1:8080",
  );

/** The parts of a value of `listen`. */
export function hostAndPort(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(text.slice(colon + 1)) };
}

export const tokenSecret = credential.min(32, "is shorter than 32 characters");

export const citadelKey = credential.refine(
  (key) => key.startsWith("ck_"),
  "does not begin with ck_",
);

/**
 * The secrets of webhooks by their names, as JSON: {"ops": "whsec_…"}. Several secrets of one are
 * separated by a space. Standard Webhooks wants 24 to 64 bytes in base64.
 */
export const webhookSecrets = z
  .string()
  .transform((text, context) => {
    const json = jsonIn(text);
    // A map, because a webhook may have the name of a property that every object has.
    const entries = isRecord(json) && new Map(Object.entries(json));
    const parsed = z.map(z.string(), z.string()).safeParse(entries);
    if (parsed.success) return parsed.data;
    context.issues.push({
      code: "custom",
      message: 'is not JSON such as {"ops": "whsec_…"}',
      input: "", // the value is a secret
    });
    return z.NEVER;
  })
  .transform((secrets, context) => {
    const entries = [...secrets].map(([name, text]) => {
      const keys = text.split(" ").map((each) => {
        return Buffer.from(each.startsWith("whsec_") ? each.slice(6) : "", "base64");
      });
      if (keys.some(({ length }) => length < 24 || length > 64)) {
        const message = `names "${name}", whose value is not whsec_ and 24 to 64 bytes in base64`;
        context.issues.push({ code: "custom", message, input: "" });
      }
      return [name, keys] as const;
    });
    return new Map(entries);
  });

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
