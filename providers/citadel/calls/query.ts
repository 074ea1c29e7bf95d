import { z } from "zod";
import { InfraError } from "../../../core/errors.ts";
import type { CallOptions, Http } from "../../http.ts";
import { scopeHeaders } from "../headers.ts";
import type { QueryOptions, QueryResult, Scope } from "../port.ts";
import { entry } from "./entry.ts";

const answer = z
  .object({ entries: z.array(entry), total: z.number(), duration_ms: z.number() })
  .transform(({ duration_ms, ...rest }): QueryResult => ({ ...rest, durationMs: duration_ms }));

/** What the statuses of a query and a tail mean. */
export const QUERY_CODES: CallOptions["codes"] = {
  400: "RDEV_QUERY",
  422: "RDEV_QUERY",
  404: "RDEV_TENANT",
};

export async function query(
  http: Http,
  scope: Scope,
  cpl: string,
  { range = "1h", limit = 100 }: QueryOptions = {},
): Promise<QueryResult> {
  const options = {
    query: { q: cpl, range, limit },
    headers: scopeHeaders(scope),
    codes: QUERY_CODES,
  };
  return pointing(cpl, http.call("GET", "/query", answer, options));
}

/** Shows the place in the query, where Citadel tells it. */
export async function pointing<T>(cpl: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof InfraError) || error.code !== "RDEV_QUERY") throw error;
    const { position } = error;
    if (position === undefined) throw error;
    const oneLine = cpl.replaceAll(/\s/g, " ");
    const message = `${error.message}\n  ${oneLine}\n  ${" ".repeat(position)}^`;
    throw new InfraError("RDEV_QUERY", message, error);
  }
}
