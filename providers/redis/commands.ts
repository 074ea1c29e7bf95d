import type { CacheSettings } from "../../core/settings.ts";

/** The groups of commands whose every key or channel is held to the user's patterns. */
const CATEGORIES = [
  ...["string", "bitmap", "hyperloglog", "hash", "list", "set", "sortedset", "geo", "stream"],
  ...["keyspace", "pubsub", "transaction", "connection"],
].map((category) => `+@${category}`);

/** What those groups hold and no project may have. */
const REFUSED = [
  // For administrators, or of a size that the caller does not bound (KEYS, FLUSHALL, SORT, …).
  ...["-@admin", "-@dangerous", "-@scripting"],
  // Quadratic: two texts of 100 KB stop the server for seconds.
  "-lcs",
  // Other databases. A delete looks for a project's keys in database 0 only.
  ...["-select", "-move", "-copy"],
  // Names of others' keys and channels.
  ...["-scan", "-randomkey", "-client|tracking", "-pubsub|channels", "-pubsub|shardchannels"],
  // Counts of the whole server.
  ...["-dbsize", "-pubsub|numpat"],
];

/** Single commands that clients send and that tell nothing of others. */
const ALLOWED = ["+select|0", "+time", "+memory|usage", "+acl|whoami"];

const SCRIPTS = ["+eval", "+eval_ro", "+evalsha", "+evalsha_ro", "+script|load", "+script|exists"];

/** What a project's user may do, in the words of ACL SETUSER. A key pattern bounds it further. */
export function cacheCommands({ scripts, info }: CacheSettings): string {
  const more = [...(scripts ? SCRIPTS : []), ...(info ? ["+info"] : [])];
  return [...CATEGORIES, ...REFUSED, ...ALLOWED, ...more].join(" ");
}
