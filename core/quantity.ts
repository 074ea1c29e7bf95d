// Without zod, because the page checks sizes by the same rules as the service.

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

export const QUANTITY = /^(\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi)?$/;

export const NO_QUANTITY = "is not a Kubernetes quantity, such as 250m or 256Mi";

/** The number of a quantity, for comparing two of them; NaN for any other text. */
export function amount(text: string): number {
  const [, digits, suffix = ""] = QUANTITY.exec(text) ?? [];
  return Number(digits) * FACTORS[suffix as keyof typeof FACTORS];
}
