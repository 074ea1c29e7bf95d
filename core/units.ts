import ms, { type StringValue } from "ms";
import { z } from "zod";

const FACTORS = {
  m: 1e-3,
  "": 1,
  k: 1e3,
  Ki: 2 ** 10,
  M: 1e6,
  Mi: 2 ** 20,
  G: 1e9,
  Gi: 2 ** 30,
} as const;

const QUANTITY = /^(\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi)?$/;

/** A Kubernetes quantity, such as `250m` or `256Mi`. */
export const quantity = z
  .string()
  .regex(QUANTITY, "is not a Kubernetes quantity, such as 250m or 256Mi");

/** The number of a quantity, for comparing two of them; NaN for any other text. */
export function amount(text: string): number {
  const [, digits, suffix = ""] = QUANTITY.exec(text) ?? [];
  return Number(digits) * FACTORS[suffix as keyof typeof FACTORS];
}

/** The milliseconds of `30s`, `30m`, `1h` or `7d`; undefined for any other text. */
export function spanMs(text: string): number | undefined {
  return /^[1-9]\d{0,5}[smhd]$/.test(text) ? ms(text as StringValue) : undefined;
}
