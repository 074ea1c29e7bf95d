import { once } from "node:events";
import { writeSync } from "node:fs";
import type { WriteStream } from "node:tty";
import { styleText } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { durationText, printable } from "../text.ts";

/** A line that moves: a spinner, the text, and how long it goes on. */
export interface Row {
  readonly text: string;
  /** Epoch in ms. */
  readonly since: number;
}

/** The end of a terminal: lines that stay, and below them rows that move. */
export interface Screen {
  print(line: string): void;
  /** Replaces the rows. */
  rows(rows: readonly Row[]): void;
  /** Erases the rows. Resolves when everything is written. */
  end(): Promise<void>;
}

interface Size {
  readonly rows: number;
  readonly columns: number;
}

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 100;

/**
 * Draws in this thread. listr2 does not fit: it needs the list of tasks in advance, and only the engine
 * knows the resources.
 */
export class DrawnScreen implements Screen {
  size: Size;
  readonly #write: (text: string) => void;
  readonly #colour: boolean;
  readonly #timer = setInterval(() => this.#draw(), FRAME_MS);
  #rows: readonly Row[] = [];
  #drawn = 0;
  #frame = 0;

  constructor(write: (text: string) => void, size: Size, colour: boolean) {
    this.#write = write;
    this.#colour = colour;
    this.size = size;
  }

  print(line: string): void {
    this.#draw(`${line}\n`);
  }

  rows(rows: readonly Row[]): void {
    this.#rows = rows;
    this.#draw();
  }

  end(): Promise<void> {
    clearInterval(this.#timer);
    this.#rows = [];
    this.#draw();
    return Promise.resolve();
  }

  #draw(above = ""): void {
    const erase = this.#drawn > 0 ? `\u001b[${this.#drawn}A\r\u001b[J` : "";
    const room = Math.max(1, this.size.rows - 2);
    const fits = this.#rows.length <= room;
    const shown = fits ? this.#rows : this.#rows.slice(0, room - 1);
    const lines = shown.map(({ text, since }) =>
      this.#line(text, durationText(Date.now() - since)),
    );
    if (!fits) lines.push(this.#line(`and ${this.#rows.length - shown.length} more`, ""));
    this.#frame += 1;
    this.#drawn = lines.length;
    this.#write(erase + above + lines.map((line) => `${line}\n`).join(""));
  }

  #line(text: string, time: string): string {
    const sign = FRAMES[this.#frame % FRAMES.length] ?? "";
    // A row that is wider than the terminal would take two lines, and the second would stay.
    const width = Math.max(10, this.size.columns - time.length - 6);
    return `${this.#paint("cyan", sign)} ${printable(text).slice(0, width)}  ${this.#paint("dim", time)}`;
  }

  #paint(style: "cyan" | "dim", text: string): string {
    return this.#colour ? styleText(style, text, { validateStream: false }) : text;
  }
}

type Message =
  | { readonly print: string }
  | { readonly rows: readonly Row[] }
  | { readonly size: Size }
  | { readonly end: true };

/**
 * Draws in a thread of its own. Loading Pulumi's SDK and the program blocks the main thread for
 * seconds, and a spinner drawn there would stand still.
 */
export function threadScreen(terminal: WriteStream): Screen {
  const size = () => ({ rows: terminal.rows, columns: terminal.columns });
  const colour = styleText("dim", "x", { stream: terminal }) !== "x";
  const worker = new Worker(new URL(import.meta.url), { workerData: { size: size(), colour } });
  worker.unref(); // an error elsewhere must not leave this process waiting for it
  let isBroken = false;
  worker.once("error", () => (isBroken = true));
  const ended = once(worker, "exit").catch(() => undefined);
  const send = (message: Message) => worker.postMessage(message);
  const resize = () => send({ size: size() });
  terminal.on("resize", resize);
  return {
    print: (line) => (isBroken ? void terminal.write(`${line}\n`) : send({ print: line })),
    rows: (rows) => send({ rows }),
    async end() {
      terminal.off("resize", resize);
      worker.ref();
      send({ end: true });
      await ended;
    },
  };
}

if (!isMainThread && parentPort) serve(parentPort, workerData as { size: Size; colour: boolean });

function serve(
  port: NonNullable<typeof parentPort>,
  { size, colour }: { size: Size; colour: boolean },
) {
  const screen = new DrawnScreen(writeAll, size, colour);
  port.on("message", (message: Message) => {
    if ("print" in message) screen.print(message.print);
    else if ("rows" in message) screen.rows(message.rows);
    else if ("size" in message) screen.size = message.size;
    else {
      void screen.end();
      port.close();
    }
  });
}

const STDOUT = 1;

/** Writes to stdout. A thread's own process.stdout would go through the main thread. */
function writeAll(text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(STDOUT, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return; // the terminal is gone
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
