import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { decodeMulti } from "@msgpack/msgpack";
import { z } from "zod";
import { type Citadel, type CitadelEvent, IngestError } from "../../providers/citadel/port.ts";

interface ReplayReport {
  readonly files: number;
  readonly accepted: number;
  /** Events that Citadel refused for good. Their files are kept. */
  readonly refused: number;
  /** Events for environments that Citadel does not have, such as those of destroyed projects. */
  readonly orphaned: number;
}

interface ReplayOptions {
  /** Whether to delete the events for environments that Citadel does not have. Default: false. */
  readonly discardOrphaned?: boolean;
}

/**
 * Sends the events of an agent's folder `chunks/rejected` to Citadel, and deletes each file of which no
 * event has to be kept. Rejects if Citadel does not take a batch for another reason than a missing
 * environment; the next replay then resends the events that were sent before from the same file, so
 * they may be duplicated.
 */
export async function replayRejected(
  folder: string,
  citadel: Pick<Citadel, "ingest">,
  { discardOrphaned = false }: ReplayOptions = {},
): Promise<ReplayReport> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".flb")).toSorted();
  const total = { accepted: 0, refused: 0, orphaned: 0 };
  for (const name of names) {
    const path = join(folder, name);
    const events = readRejectedChunk(await readFile(path));
    let kept = 0;
    for (const [tenant, own] of Map.groupBy(events, (event) => event.tenant)) {
      const sent = await send(
        citadel,
        tenant,
        own.map(({ event }) => event),
      );
      total.accepted += sent.accepted;
      total.refused += sent.refused;
      total.orphaned += sent.orphaned;
      kept += sent.refused + (discardOrphaned ? 0 : sent.orphaned);
    }
    if (kept === 0) await rm(path);
  }
  return { files: names.length, ...total };
}

async function send(
  citadel: Pick<Citadel, "ingest">,
  tenant: string,
  events: readonly CitadelEvent[],
): Promise<Omit<ReplayReport, "files">> {
  try {
    const { accepted, refused } = await citadel.ingest(tenant, events, { deadline: 60_000 });
    return { accepted, refused: refused.length, orphaned: 0 };
  } catch (error) {
    if (!(error instanceof IngestError) || error.code !== "RDEV_TENANT") throw error;
    const { accepted, refused } = error.report;
    const orphaned = events.length - accepted - refused.length;
    return { accepted, refused: refused.length, orphaned };
  }
}

/** An event with the tenant that the agent shipped it to. */
interface RejectedEvent {
  readonly tenant: string;
  readonly event: CitadelEvent;
}

/** 0xC1 0x00, checksum, content length at 10, and the length of the metadata at 22. */
const HEADER_BYTES = 24;

const withTenant = z.object({ fields: z.object({ k8s: z.object({ tenant: z.string() }) }) });

const rejectedRecord = z.tuple([
  z.unknown(),
  z.custom<CitadelEvent & z.output<typeof withTenant>>(
    (event) => withTenant.safeParse(event).success,
    "is not an event of the agent",
  ),
]);

/**
 * The events of a chunk that Fluent Bit rejected. The format is chunkio's (lib/chunkio/cio_file_st.h of
 * Fluent Bit 5.1): a header, metadata, and one MessagePack record `[[time, metadata], event]` for each
 * event.
 * @throws Error if the file is not a chunk, or ends in the middle of a record.
 */
export function readRejectedChunk(file: Uint8Array): readonly RejectedEvent[] {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < HEADER_BYTES || bytes[0] !== 0xc1 || bytes[1] !== 0) {
    throw new Error("The file is not a chunk of Fluent Bit: its first two bytes are not C1 00.");
  }
  const start = HEADER_BYTES + bytes.readUInt16BE(22);
  const length = bytes.readUInt32BE(10);
  const content = bytes.subarray(start, length > 0 ? start + length : undefined);
  try {
    return [...decodeMulti(content, { keyDecoder })].map((record) => {
      const [, event] = rejectedRecord.parse(record);
      return { tenant: event.fields.k8s.tenant, event };
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Error("The file ends in the middle of a record.", { cause: error });
  }
}

/**
 * Renames the key `__proto__`. The library refuses it, so one log line with that key would block the
 * replay of all other tenants' events in the chunk.
 */
const keyDecoder = {
  canBeCached: (byteLength: number) => byteLength === "__proto__".length,
  decode(bytes: Uint8Array, offset: number, byteLength: number): string {
    const key = Buffer.from(bytes.subarray(offset, offset + byteLength)).toString();
    return key === "__proto__" ? "[__proto__]" : key;
  },
};
