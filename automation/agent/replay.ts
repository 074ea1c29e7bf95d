import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Citadel } from "../../providers/citadel/port.ts";
import { readRejectedChunk } from "./rejected-chunk.ts";

export interface ReplayReport {
  readonly files: number;
  readonly accepted: number;
  /** Events that Citadel can never take; their file is kept. */
  readonly refused: number;
}

/**
 * Sends to Citadel what an agent kept aside: the files of its folder `chunks/rejected`, in batches that
 * are small enough for every limit. A file whose events were all accepted is deleted. Rejects where a
 * batch is not taken; what was sent before is then sent again by the next replay, so it may be doubled.
 */
export async function replayRejected(
  folder: string,
  citadel: Pick<Citadel, "ingest">,
): Promise<ReplayReport> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".flb")).toSorted();
  let accepted = 0;
  let refused = 0;
  for (const name of names) {
    const path = join(folder, name);
    const events = readRejectedChunk(await readFile(path));
    let refusedHere = 0;
    for (const [tenant, own] of Map.groupBy(events, (event) => event.tenant)) {
      const report = await citadel.ingest(
        tenant,
        own.map(({ event }) => event),
        { deadline: 60_000 },
      );
      accepted += report.accepted;
      refusedHere += report.refused.length;
    }
    refused += refusedHere;
    if (refusedHere === 0) await rm(path);
  }
  return { files: names.length, accepted, refused };
}
