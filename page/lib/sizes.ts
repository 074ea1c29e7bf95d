import type { SizeLimits } from "../../automation/service/schemas/sizes.ts";
import { NO_QUANTITY, QUANTITY } from "../../core/quantity.ts";
import { COUNTS, isCount } from "../../core/size-counts.ts";
import { excesses, shortages, SIZE_NAMES } from "../../core/size-rules.ts";
import type { Sizes } from "../../core/sizes.ts";

export type SizeName = keyof Sizes;

/** What a person has typed; an empty text stands for the platform's value. */
export type SizeTexts = Readonly<Partial<Record<SizeName, string>>>;

export interface CheckedSizes {
  /** The sizes that are typed and well-formed. */
  readonly sizes: Partial<Sizes>;
  /** The text of each size's problem. Sizes that the service would accept are not in it. */
  readonly problems: ReadonlyMap<SizeName, string>;
}

/** Checks sizes like the service does. Without the platform's limits, only their form. */
export function checkSizes(texts: SizeTexts, limits: SizeLimits | undefined): CheckedSizes {
  const problems = new Map<SizeName, string>();
  const entries: [SizeName, string | number][] = [];
  for (const name of SIZE_NAMES) {
    const text = (texts[name] ?? "").trim();
    if (text === "") continue;
    const wrong = formProblem(name, text);
    if (wrong !== undefined) problems.set(name, wrong);
    else entries.push([name, isCount(name) ? Number(text) : text]);
  }
  const sizes: Partial<Sizes> = Object.fromEntries(entries);
  if (!limits) return { sizes, problems };
  const platform = { sizes: limits.defaults, maxSizes: limits.ceilings };
  for (const { size, ceiling } of excesses(sizes, platform)) {
    problems.set(size, `is above the platform's ceiling, which is ${ceiling}`);
  }
  const all = { ...limits.defaults, ...sizes };
  for (const { size, quota } of shortages(all)) {
    const each = size === undefined ? "" : `, each with ${all[size]}`;
    const text = `${all[quota]} is too small for ${all.replicas} replicas${each}`;
    if (!problems.has(quota)) problems.set(quota, text);
  }
  return { sizes, problems };
}

function formProblem(name: SizeName, text: string): string | undefined {
  if (!isCount(name)) return QUANTITY.test(text) ? undefined : NO_QUANTITY;
  const { min, max } = COUNTS[name];
  const isRight = /^\d{1,6}$/.test(text) && Number(text) >= min && Number(text) <= max;
  return isRight ? undefined : `is not a whole number from ${min} to ${max}`;
}
