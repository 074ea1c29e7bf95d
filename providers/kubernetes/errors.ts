import { type ErrorCode, InfraError, redact } from "../../core/errors.ts";
import { retryableFor } from "../retryable.ts";

/** An error answer of the API server (https://kubernetes.io/docs/reference/generated/kubernetes-api, Status). */
interface ErrorAnswer {
  readonly status: number;
  readonly text: string;
  /** How long the server asks to wait, in ms. */
  readonly retryAfter: number | undefined;
}

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: "RDEV_UNAUTHORIZED",
  403: "RDEV_FORBIDDEN",
  429: "RDEV_RATE_LIMITED",
};

/** The answer in an error of @kubernetes/client-node, or undefined if there was no answer. */
function errorAnswer(error: unknown): ErrorAnswer | undefined {
  const { code, body, headers } = error as {
    code?: unknown;
    body?: unknown;
    headers?: Record<string, string>;
  };
  if (typeof code !== "number") return undefined;
  const seconds = Number(headers?.["retry-after"] ?? Number.NaN);
  return {
    status: code,
    text: messageIn(body),
    retryAfter: Number.isFinite(seconds) ? seconds * 1000 : undefined,
  };
}

/** The code of a failed connection, such as ECONNREFUSED. */
function connectionCode(error: unknown): string | undefined {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (typeof code === "string") return code;
  return cause === undefined || cause === error ? undefined : connectionCode(cause);
}

/** Turns an error of @kubernetes/client-node into an InfraError. `action`: `get namespace my-app`. */
export function kubernetesError(
  error: unknown,
  action: string,
  { server, secrets }: { server: string; secrets: readonly string[] },
): InfraError {
  const clean = (text: string) => redact(text, secrets);
  const answer = errorAnswer(error);
  if (answer) {
    const { status, text } = answer;
    const code = BY_STATUS[status] ?? (status >= 500 ? "RDEV_UNREACHABLE" : "RDEV_REFUSED");
    const hint = status === 401 ? " KUBECONFIG's credentials were refused." : "";
    return new InfraError(code, clean(`Kubernetes: ${action}: ${text} (${status}).${hint}`), {
      status,
    });
  }
  const { name, message } = error as Error;
  if (name === "TimeoutError" || name === "AbortError") {
    return new InfraError("RDEV_DEADLINE", `Kubernetes at ${server} did not answer in time.`);
  }
  return new InfraError(
    "RDEV_UNREACHABLE",
    clean(
      `Kubernetes at ${server} cannot be reached (${connectionCode(error) ?? message}). ` +
        "Is it up, and KUBECONFIG right?",
    ),
  );
}

/** How long to wait before a call is retried, in ms. Undefined if it must not be retried. */
export function waitBeforeRetry(
  error: unknown,
  isIdempotent: boolean,
  tries: number,
): number | undefined {
  const backoff = 100 * 2 ** tries;
  const answer = errorAnswer(error);
  const { statuses, errors } = retryableFor(isIdempotent);
  if (answer) {
    const { status, retryAfter = backoff } = answer;
    return status === 429 || statuses.includes(status) ? retryAfter : undefined;
  }
  return errors.includes(connectionCode(error) ?? "") ? backoff : undefined;
}

/** A Status has a `message`. A proxy in front of the server may answer anything. */
function messageIn(body: unknown): string {
  let status = body;
  if (typeof body === "string") {
    try {
      status = JSON.parse(body);
    } catch {
      return body.startsWith("<") ? "no readable answer" : body.slice(0, 500);
    }
  }
  const message = (status as { message?: unknown } | null | undefined)?.message;
  return typeof message === "string" ? message.slice(0, 500) : "no readable answer";
}
