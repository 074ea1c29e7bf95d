import { EXIT } from "./exit-codes.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** In ms. npx passes a Ctrl-C on that the terminal has sent already: both are one. */
const ONE_PRESS = 400;

/** Runs work that the first signal cancels, the second kills, and after which a third ends us. */
export async function interruptible<T>(
  tell: (text: string) => void,
  work: (signals: { signal: AbortSignal; kill: AbortSignal }) => Promise<T>,
): Promise<T> {
  const cancel = new AbortController();
  const kill = new AbortController();
  let last = -Infinity;
  const interrupt = () => {
    if (performance.now() - last < ONE_PRESS) return;
    last = performance.now();
    if (!cancel.signal.aborted) {
      tell("Stopping when what is under way is done. Ctrl-C again stops it at once.");
      cancel.abort();
    } else if (!kill.signal.aborted) {
      tell("Stopping at once: what is under way may be left half made, for the next up to finish.");
      kill.abort();
    } else process.exit(EXIT.interrupted);
  };
  for (const name of SIGNALS) process.on(name, interrupt);
  try {
    return await work({ signal: cancel.signal, kill: kill.signal });
  } finally {
    for (const name of SIGNALS) process.off(name, interrupt);
  }
}
