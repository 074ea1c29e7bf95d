import { useEffect, useRef, useState } from "preact/hooks";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import { ApiError, call, type CallOptions } from "./api.ts";
import { go } from "./router.ts";

export interface Action {
  /** True until the service has answered; for `aria-disabled`, which leaves the focus on the button. */
  readonly isBusy: boolean;
  readonly error: ApiError | undefined;
  /**
   * Does the work, unless the work before it is under way, so a double click or a held Enter acts once.
   * With `isLast`, nothing is done after a success, because the page leaves the view.
   */
  readonly run: (
    work: () => Promise<unknown>,
    options?: { readonly isLast?: boolean },
  ) => Promise<void>;
}

/** What a button or a form does, once at a time. */
export function useAction(): Action {
  const isUnderWay = useRef(false); // a second click can come before the view is drawn again
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const settle = (busy: boolean) => {
    isUnderWay.current = busy;
    setBusy(busy);
  };
  useEffect(() => {
    // "Back" before the next view is there leaves this one as it is.
    const release = () => settle(false);
    addEventListener("popstate", release);
    return () => removeEventListener("popstate", release);
  }, []);
  const run: Action["run"] = async (work, { isLast = false } = {}) => {
    if (isUnderWay.current) return;
    settle(true);
    setError(undefined);
    try {
      await work();
      if (isLast) return;
    } catch (reason) {
      if (!(reason instanceof ApiError)) throw reason;
      setError(reason);
    }
    settle(false);
  };
  return { isBusy, error, run };
}

export interface Start extends Omit<Action, "run"> {
  /** Starts an operation and goes to its view. */
  readonly start: (
    method: "POST" | "PUT" | "DELETE",
    path: string,
    options?: Pick<CallOptions, "query" | "body">,
  ) => Promise<void>;
}

/**
 * Starts operations. If the answer is lost, the same request gets the same idempotency key, so that the
 * next click leads to the operation that the first one started.
 */
export function useStart(): Start {
  const { isBusy, error, run } = useAction();
  const asked = useRef({ request: "", key: "" });
  return {
    isBusy,
    error,
    start: (method, path, options = {}) =>
      run(
        async () => {
          const request = JSON.stringify([method, path, options]);
          if (asked.current.request !== request) asked.current = { request, key: randomKey() };
          const headers = { "idempotency-key": asked.current.key };
          const { id } = await call<OperationView>(method, path, { ...options, headers });
          go(`/operations/${id}`);
        },
        { isLast: true },
      ),
  };
}

export interface Cancel extends Omit<Action, "run"> {
  readonly cancel: () => Promise<void>;
}

/** Cancels an operation. The button stays busy until the events of the operation take it away. */
export function useCancel(id: string | undefined): Cancel {
  const { run, ...action } = useAction();
  return {
    ...action,
    cancel: () => run(() => call("POST", `/v1/operations/${id ?? ""}/cancel`), { isLast: true }),
  };
}

/** `crypto.randomUUID` is absent on pages without TLS. */
function randomKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
