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

const PATTERN = /^(\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi)?$/;

/** A Kubernetes quantity, such as `250m` or `256Mi`. */
export const quantity = z.string().regex(PATTERN, "is no Kubernetes quantity");

/** The number that a quantity stands for, so that two can be compared; NaN for any other text. */
export function amount(text: string): number {
  const [, digits, suffix = ""] = PATTERN.exec(text) ?? [];
  return Number(digits) * FACTORS[suffix as keyof typeof FACTORS];
}
