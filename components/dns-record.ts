import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import { recordType } from "../providers/dns/port.ts";
import { Record } from "../providers/dns/record.ts";

export interface DnsRecordArgs {
  /** The project's slug: the record's first label. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** The zone. The record's name ends with it. */
  readonly domain: string;
  /** An IPv4 address (A record), an IPv6 address (AAAA) or a host name (CNAME). */
  readonly target: string;
  /** Seconds. */
  readonly ttl: number;
}

/**
 * The record `<slug>.<domain>`, which points to the platform's ingress. Delete deletes only the record
 * that it made.
 */
export class DnsRecord extends pulumi.ComponentResource {
  /** The full name, without a trailing dot. */
  readonly host: string;

  constructor(name: string, args: DnsRecordArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:DnsRecord", name, {}, options);

    this.host = `${args.slug}.${args.domain}`;
    new Record(
      name,
      {
        zone: args.domain,
        name: this.host,
        type: recordType(args.target),
        content: args.target,
        ttl: args.ttl,
        owner: args.owner,
      },
      { parent: this },
    );

    this.registerOutputs({ host: this.host });
  }
}
