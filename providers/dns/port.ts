import { isIPv4, isIPv6 } from "node:net";

/** The record types that rdev-infra writes. */
export const RECORD_TYPES = ["A", "AAAA", "CNAME"] as const;

export type RecordType = (typeof RECORD_TYPES)[number];

/** The type of a record that points to this target: an address, or else a host name. */
export function recordType(target: string): RecordType {
  if (isIPv4(target)) return "A";
  return isIPv6(target) ? "AAAA" : "CNAME";
}

/** The records of one name and type that carry the same comment. */
export interface RecordSet {
  /** Fully qualified, lower case, without a trailing dot. */
  readonly name: string;
  readonly type: string;
  /** Seconds. */
  readonly ttl: number;
  /** Addresses, or host names without a trailing dot. */
  readonly contents: readonly string[];
  /** Holds the owner's mark. Empty if there is none. */
  readonly comment: string;
}

/**
 * A DNS server's records. Every method throws RDEV_REFUSED if the server has no such zone. If that
 * counted as "no record", a destroy with a wrong address would leave the record behind.
 */
export interface Dns {
  /** Throws RDEV_FORBIDDEN if the credential may not write the zone. Changes nothing. */
  assertMayWrite(zone: string): Promise<void>;
  /** All record sets with a name, of every type. */
  find(zone: string, name: string): Promise<RecordSet[]>;
  /** Replaces the set with this name, this type and the former comment, or creates it. */
  put(zone: string, set: RecordSet, formerComment: string): Promise<void>;
  /** Deletes the set with this name, type and comment. Does nothing if there is none. */
  delete(zone: string, set: Pick<RecordSet, "name" | "type" | "comment">): Promise<void>;
}
