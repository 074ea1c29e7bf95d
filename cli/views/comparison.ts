import type { Comparison, Missing } from "../../automation/audit/verify.ts";

/** What `audit verify --citadel` tells of Citadel's copy where no event is broken. */
export function comparisonLines(comparison: Comparison, last: string): string[] {
  const { compared, missing, recent, unknown } = comparison;
  const same = missing ? "." : ", and they are the same.";
  return [
    `Citadel has ${compared} of the last ${last}${same}`,
    ...(recent ? [`${recent} were shipped less than a minute ago, and are not there yet.`] : []),
    ...(unknown
      ? [
          `${unknown} are not there, and nothing says whether they were shipped: they were recorded ` +
            "while Citadel was switched off, or shipped by a version that did not note it.",
        ]
      : []),
  ];
}

export function missingText({ count, first, tenant, shippedAt }: Missing): string {
  const what = count === 1 ? "an event that was" : `${count} events that were`;
  return (
    `RDEV_AUDIT: Citadel lacks ${what} shipped to it. The first is event ${first}, shipped to the ` +
    `environment ${tenant} at ${shippedAt.toISOString()}. Keep a copy of the database, and find out ` +
    "who deleted from that environment, or made it anew."
  );
}
