import { Citadel } from "../../providers/citadel/client.ts";
import type { Entry, QueryOptions, QueryResult } from "../../providers/citadel/port.ts";
import { follow, type FollowOptions } from "./follow.ts";
import { scopeOf, type Subject } from "./scope.ts";

export type { Entry, Subject };

/** The lines that match a CPL query, newest first. Citadel's connection is in the variables. */
export async function searchLogs(
  subject: Subject,
  cpl: string,
  options?: QueryOptions,
): Promise<QueryResult> {
  const citadel = new Citadel();
  return citadel.query(await scopeOf(citadel, subject), cpl, options);
}

/** The lines that match, oldest first, and then those that come. Ends with `options.signal` only. */
export async function* followLogs(
  subject: Subject,
  cpl: string,
  options: FollowOptions,
): AsyncGenerator<Entry> {
  const citadel = new Citadel();
  const scope = await scopeOf(citadel, subject);
  yield* follow(citadel, scope, cpl, options);
}
