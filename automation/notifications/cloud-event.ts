import type { ClaimedEvent } from "./outbox.ts";

/**
 * An event as CloudEvents 1.0 in structured mode: https://github.com/cloudevents/spec. The same event
 * has the same text each time it is sent. `source` and `id` together identify it.
 */
export function cloudEvent({ id, at, subject, event }: ClaimedEvent, platform: string): string {
  const { kind, ...data } = event;
  return JSON.stringify({
    specversion: "1.0",
    id,
    source: `/rdev-infra/${platform}`,
    type: `io.rdev.${kind}`,
    subject,
    time: at.toISOString(),
    datacontenttype: "application/json",
    data,
  });
}
