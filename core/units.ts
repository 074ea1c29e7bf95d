import ms, { type StringValue } from "ms";
import { z } from "zod";
import { NO_QUANTITY, QUANTITY } from "./quantity.ts";

/** A Kubernetes quantity, such as `250m` or `256Mi`. */
export const quantity = z.string().regex(QUANTITY, NO_QUANTITY);

/** The milliseconds of `30s`, `30m`, `1h` or `7d`; undefined for any other text. */
export function spanMs(text: string): number | undefined {
  return /^[1-9]\d{0,5}[smhd]$/.test(text) ? ms(text as StringValue) : undefined;
}
