/** What rdev-infra keeps in DNS. */
export const RECORD_TYPES = ["A", "AAAA", "CNAME"] as const;

export type RecordType = (typeof RECORD_TYPES)[number];

/** The records of one name and type that carry the same comment. */
export interface RecordSet {
  /** Fully qualified, lower case, without a trailing dot. */
  readonly name: string;
  readonly type: string;
  /** Seconds. */
  readonly ttl: number;
  /** Addresses or host names, the latter without a trailing dot. */
  readonly contents: readonly string[];
  /** The owner's mark; empty where there is none. */
  readonly comment: string;
}

/**
 * A DNS server's records. Every method throws RDEV_REFUSED where the server has no such zone: were
 * that taken for "there is no record", a destroy with the wrong address would leave the record.
 */
export interface Dns {
  /** All record sets of a name, of whatever type. */
  find(zone: string, name: string): Promise<RecordSet[]>;
  /** Makes the set of this name, type and former comment what is given. */
  put(zone: string, set: RecordSet, formerComment: string): Promise<void>;
  /** Deletes the set of this name, type and comment; done as well where there is none. */
  delete(zone: string, set: Pick<RecordSet, "name" | "type" | "comment">): Promise<void>;
}
