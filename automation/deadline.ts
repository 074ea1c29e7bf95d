import pTimeout from "p-timeout";
import { InfraError } from "../core/errors.ts";

/**
 * Runs `work` with a signal that is aborted at its end, or after the deadline in ms. Rejects with
 * RDEV_DEADLINE then.
 */
export async function within<T>(
  deadline: number,
  work: (closing: AbortSignal) => Promise<T>,
): Promise<T> {
  const closing = new AbortController();
  const late = new InfraError("RDEV_DEADLINE", `It did not answer within ${deadline / 1000} s.`);
  try {
    return await pTimeout(work(closing.signal), { milliseconds: deadline, message: late });
  } finally {
    closing.abort();
  }
}
