import { StringDecoder } from "node:string_decoder";

/** Longer lines are cut into several (pipeline/const.go). */
const LONGEST = 1024 * 1024;

/** Collects output and passes it on line by line, without the newlines. */
export class Lines {
  readonly #decoder = new StringDecoder("utf8");
  readonly #onLine: (line: string) => void;
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  add(chunk: Buffer): void {
    const [first = "", ...others] = this.#decoder.write(chunk).split("\n");
    this.#rest += first;
    for (const next of others) {
      this.#onLine(this.#rest);
      this.#rest = next;
    }
    while (this.#rest.length > LONGEST) {
      this.#onLine(this.#rest.slice(0, LONGEST));
      this.#rest = this.#rest.slice(LONGEST);
    }
  }

  /** Passes on a last line without a newline. */
  end(): void {
    this.#rest += this.#decoder.end();
    if (this.#rest !== "") this.#onLine(this.#rest);
    this.#rest = "";
  }
}
