/** Runs one command of the program on this machine. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export interface Run {
  readonly command: string;
  /** The program that runs the command, with its arguments. */
  readonly interpreter: readonly string[];
  readonly dir: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string | undefined;
  /** Called with every line as it is written. */
  readonly onLine: (stream: "stdout" | "stderr", line: string) => void;
  /** Ends the command, and all that it started. */
  readonly signal: AbortSignal;
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  /** How it failed ("exit status 3"), or undefined where it did not. */
  readonly failure: string | undefined;
}

/** Never rejects: a command that cannot start is a failed one. */
export function run(request: Run): Promise<Finished> {
  const { command, interpreter, dir, environment, stdin, onLine, signal } = request;
  const [file = "/bin/sh", ...args] = interpreter;
  return new Promise((resolve) => {
    // A group of its own, so that what the shell started ends with it.
    const child = spawn(file, [...args, command], {
      cwd: dir,
      env: { ...process.env, ...environment },
      detached: true,
    });
    const stdout = collect(child.stdout, (line) => onLine("stdout", line));
    const stderr = collect(child.stderr, (line) => onLine("stderr", line));
    const finish = (failure: string | undefined) => {
      signal.removeEventListener("abort", stop);
      resolve({ stdout: stdout(), stderr: stderr(), failure });
    };
    const stop = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
      } catch {
        // It ended by itself in this moment.
      }
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
    child.on("error", (error) => finish(error.message));
    child.on("close", (code, killedBy) => {
      if (code === 0) finish(undefined);
      else finish(code === null ? `ended by ${killedBy ?? "a signal"}` : `exit status ${code}`);
    });
    // A command that does not read its input closes it early: that is no error.
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin ?? "");
  });
}

function collect(stream: Readable, onLine: (line: string) => void): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  createInterface({ input: stream }).on("line", onLine);
  return () => Buffer.concat(chunks).toString().replace(/\n$/, "");
}
