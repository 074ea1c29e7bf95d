/** JSON over HTTPS to the API server, with a connection pool, and retries where they are safe. */
import { setTimeout as sleep } from "node:timers/promises";
import { retryableFor } from "../../../providers/retryable.ts";
import { ApiError, UnreachableError, type Status } from "./api-error.ts";
import type { Cluster } from "./kubeconfig.ts";
import type { Properties } from "../values.ts";

export interface Request {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Record<string, string>;
  readonly body?: unknown;
  /** @default application/json */
  readonly contentType?: string;
}

export interface Client {
  readonly cluster: Cluster;
  /** The answer's body. Throws ApiError if the server refuses, UnreachableError if it does not answer. */
  send(request: Request): Promise<Properties>;
}

const ATTEMPTS = 5;
/** The API server ends a request by itself after 60 s. */
const TIMEOUT_MS = 70_000;

export async function makeClient(cluster: Cluster): Promise<Client> {
  // Imported late, so that the plugin answers the engine sooner.
  const { Agent, request: sendRequest } = await import("undici");
  const dispatcher = new Agent({
    connect: cluster.tls,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });

  async function once({ method, path, query, body, contentType }: Request) {
    const authorization = cluster.authorization();
    const response = await sendRequest(new URL(path, cluster.server), {
      dispatcher,
      method,
      ...(query !== undefined && { query }),
      headers: {
        accept: "application/json",
        ...(body !== undefined && { "content-type": contentType ?? "application/json" }),
        ...(authorization !== undefined && { authorization }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    if (response.statusCode < 300) return JSON.parse(text) as Properties;
    throw new ApiError(response.statusCode, statusOf(text));
  }

  async function send(request: Request): Promise<Properties> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(request);
      } catch (error) {
        const wait = attempt < ATTEMPTS ? secondsUntilRetry(error, request, attempt) : undefined;
        if (wait === undefined) throw readable(error, cluster.server);
        await sleep(wait * 1000);
      }
    }
  }
  return { cluster, send };
}

/** An answer that is not a Status (a proxy's page, "Unauthorized") becomes the message, shortened. */
function statusOf(text: string): Status {
  try {
    const status = JSON.parse(text) as Status;
    if (typeof status === "object" && status !== null) return status;
  } catch {
    // Not JSON.
  }
  return text.trim() === "" ? {} : { message: text.trim().slice(0, 500) };
}

function secondsUntilRetry(error: unknown, request: Request, attempt: number): number | undefined {
  if (error instanceof ApiError) {
    const isOverloaded = error.code === 429 || error.code === 503;
    return isOverloaded ? (error.status.details?.retryAfterSeconds ?? 1) : undefined;
  }
  // After a POST whose answer was lost the object may exist.
  const { errors } = retryableFor(request.method !== "POST");
  return errors.includes(codeOf(error)) ? 0.1 * attempt : undefined;
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "";

function readable(error: unknown, server: string): unknown {
  if (error instanceof ApiError) {
    if (error.code !== 401) return error;
    return new ApiError(401, {
      ...error.status,
      message: `${server}: the server has asked for the client to provide credentials (${error.message})`,
    });
  }
  const reason = error instanceof Error ? error.message || codeOf(error) : String(error);
  return new UnreachableError(`the Kubernetes API server ${server} cannot be reached: ${reason}`);
}
