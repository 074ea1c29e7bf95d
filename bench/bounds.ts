/** A figure that must not get worse than this, so that a bench fails when the code gets slower. */
export type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** Compares the figures of one bench with its bounds, and sets the process's exit code. */
export class Bounds<Name extends string> {
  readonly #bounds: Readonly<Record<Name, Bound>>;
  readonly #isInForce: boolean;

  /** `isInForce` is false for a run that is too short to measure anything. */
  constructor(isInForce: boolean, bounds: Readonly<Record<Name, Bound>>) {
    this.#isInForce = isInForce;
    this.#bounds = bounds;
  }

  /** Prints an error if the figure is worse than its bound. The bench goes on. */
  check(name: Name, figure: number): void {
    if (!this.#isInForce) return;
    const bound = this.#bounds[name];
    const isMet = "atLeast" in bound ? figure >= bound.atLeast : figure <= bound.atMost;
    if (isMet) return;
    const words = "atLeast" in bound ? `at least ${bound.atLeast}` : `at most ${bound.atMost}`;
    console.error(`worse than its bound: ${name} is ${figure.toFixed(2)}, must be ${words}`);
    process.exitCode = 1;
  }
}
