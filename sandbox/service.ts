import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { request } from "undici";
import { startReaper } from "../automation/processes/reaper.ts";
import type { NumberedEventView, OperationView } from "../automation/service/schemas/operation.ts";
import { serverSentEvents } from "../providers/sse.ts";
import { PLATFORM } from "./platform.ts";

const COMMAND = join(import.meta.dirname, "../cli/rdev-infra.js");

/** `rdev-infra service` on the sandbox, with a client. */
export interface SandboxService {
  readonly url: string;
  readonly pid: number;
  /** An administrator's API key. */
  readonly key: string;
  /** Returns the answer's JSON. Throws unless the status is 2xx. */
  call<T>(method: "GET" | "PUT" | "POST" | "DELETE", path: string, body?: object): Promise<T>;
  /** Starts an operation and follows its events to the end. Throws if the operation fails. */
  operate(
    method: "PUT" | "POST" | "DELETE",
    path: string,
    options?: { readonly body?: object; readonly onEvent?: (event: NumberedEventView) => void },
  ): Promise<OperationView>;
  stop(): Promise<void>;
}

export interface ServiceOptions {
  /** Concurrent operations. @default the service's own */
  readonly concurrency?: number;
  /** Requests a minute for each key. @default the service's own */
  readonly rateLimit?: number;
  /** @default a free one */
  readonly port?: number;
}

/** Starts the service as a process of its own, with the sandbox's database. It ends with this process. */
export async function startService(
  sandbox: { readonly env: Readonly<Record<string, string>> },
  { concurrency, rateLimit, port = 0 }: ServiceOptions = {},
): Promise<SandboxService> {
  const env = {
    ...process.env,
    ...sandbox.env,
    RDEV_INFRA_PLATFORM: PLATFORM,
    RDEV_INFRA_LISTEN: `127.0.0.1:${port}`,
    ...(concurrency && { RDEV_INFRA_CONCURRENCY: String(concurrency) }),
    ...(rateLimit && { RDEV_INFRA_RATE_LIMIT: String(rateLimit) }),
  };
  const reaper = startReaper();
  const child = reaper.spawn(process.execPath, [COMMAND, "service"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
    stopSignal: "SIGTERM",
  });
  const exit = once(child, "exit");
  const stop = async () => {
    child.kill("SIGTERM");
    await exit;
    await reaper.close();
  };
  try {
    if (!child.stdout) throw new Error("the service has no standard output");
    const lines = createInterface({ input: child.stdout });
    const url = await Promise.race([addressIn(lines), exit.then(() => undefined)]);
    if (url === undefined) throw new Error("the service ended before it listened");
    lines.resume(); // discards later log lines
    const name = `sandbox-${randomUUID()}`;
    const create = [COMMAND, "keys", "create", "--name", name, "--role", "admin"];
    const { stdout: key } = await execa(process.execPath, create, { env });
    return { url, key, pid: child.pid ?? 0, ...client(url, key), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function client(url: string, key: string): Pick<SandboxService, "call" | "operate"> {
  const headers = { authorization: `Bearer ${key}` };

  async function call<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await request(url + path, {
      method: method as "GET",
      headers: { ...headers, ...(body && { "content-type": "application/json" }) },
      body: body ? JSON.stringify(body) : null,
    });
    const text = await answer.body.text();
    if (answer.statusCode > 299) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return JSON.parse(text) as T;
  }

  return {
    call,
    async operate(method, path, { body, onEvent } = {}) {
      const { id } = await call<OperationView>(method, path, body);
      const stream = await request(`${url}/v1/operations/${id}/events`, {
        headers: { ...headers, accept: "text/event-stream" },
      });
      for await (const { type, data } of serverSentEvents(stream.body)) {
        if (type !== "end") onEvent?.(JSON.parse(data) as NumberedEventView);
        else return succeeded(JSON.parse(data) as OperationView);
      }
      throw new Error(`${method} ${path}: the stream of its events ended early`);
    },
  };
}

function succeeded(operation: OperationView): OperationView {
  if (operation.state === "succeeded") return operation;
  const { request: asked, slug, outcome } = operation;
  const errors = outcome?.errors.map(({ message }) => message) ?? [];
  throw new Error(`${asked.kind} of ${slug} ${operation.state}: ${errors.join("\n")}`);
}

async function addressIn(lines: AsyncIterable<string>): Promise<string | undefined> {
  for await (const line of lines) {
    const found = / at (http:[^"]+)"/.exec(line)?.[1];
    if (found) return found;
  }
  return undefined;
}
