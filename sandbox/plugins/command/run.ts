/** Runs a command on this machine. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export interface Run {
  readonly command: string;
  /** The program that interprets the command, with its arguments. */
  readonly interpreter: readonly string[];
  readonly dir: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string | undefined;
  /** Called for every line of output. */
  readonly onLine: (stream: "stdout" | "stderr", line: string) => void;
  /** Ends the command and the processes that it started. */
  readonly signal: AbortSignal;
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  /** How it failed ("exit status 3"); undefined if it succeeded. */
  readonly failure: string | undefined;
}

/** Never rejects: a command that cannot be started counts as failed. */
export function run(request: Run): Promise<Finished> {
  const { command, interpreter, dir, environment, stdin, onLine, signal } = request;
  const [file = "/bin/sh", ...args] = interpreter;
  return new Promise((resolve) => {
    // A process group of its own, so that a signal also reaches the shell's children.
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
        // The process has ended already.
      }
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
    child.on("error", (error) => finish(error.message));
    child.on("close", (code, killedBy) => {
      if (code === 0) finish(undefined);
      else finish(code === null ? `ended by ${killedBy ?? "a signal"}` : `exit status ${code}`);
    });
    // A command that does not read its input closes the pipe early, which is not an error.
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
