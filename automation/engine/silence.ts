export interface Silence {
  /** Aborted when nothing was heard for so long. */
  readonly signal: AbortSignal;
  heard(): void;
  end(): void;
}

/** Listens from now on. In ms. */
export function silenceOf(ms: number): Silence {
  const silent = new AbortController();
  const timer = setTimeout(() => silent.abort(), ms);
  return {
    signal: silent.signal,
    heard: () => void timer.refresh(),
    end: () => clearTimeout(timer),
  };
}
