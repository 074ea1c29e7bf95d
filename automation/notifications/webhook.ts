import { createHmac } from "node:crypto";
import { request } from "undici";
import { retryAfterOf } from "../../providers/answers.ts";
import { cloudEvent } from "./cloud-event.ts";
import type { ClaimedEvent } from "./outbox.ts";
import { notTaken, type WebhookReceiver } from "./receivers.ts";

/** In bytes: what is read of an answer, so that the connection can be used again. */
const MAX_ANSWER = 64 * 1024;

interface SendOptions {
  readonly platform: string;
  /** In ms, for connecting, sending and the answer. */
  readonly deadline: number;
}

/**
 * Posts an event to a receiver, signed by Standard Webhooks 1.0
 * (https://github.com/standard-webhooks/standard-webhooks). Any 2xx means that the receiver took it.
 * Redirects are not followed. Returns "gone" for 410, by which a receiver refuses all events. Rejects
 * with RDEV_UNREACHABLE for everything else.
 */
export async function postEvent(
  { name, url, secrets }: WebhookReceiver,
  event: ClaimedEvent,
  { platform, deadline }: SendOptions,
): Promise<"taken" | "gone"> {
  const body = cloudEvent(event, platform);
  const timestamp = Math.floor(Date.now() / 1000);
  const signed = `${event.id}.${timestamp}.${body}`;
  const answer = await request(url, {
    method: "POST",
    headers: {
      "content-type": "application/cloudevents+json; charset=utf-8",
      "user-agent": "rdev-infra",
      "webhook-id": event.id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": secrets.map((secret) => signature(signed, secret)).join(" "),
    },
    body,
    signal: AbortSignal.timeout(deadline),
  }).catch((error: NodeJS.ErrnoException) => {
    const why = error.name === "TimeoutError" ? "no answer in time" : (error.code ?? error.name);
    throw notTaken(`${name} cannot be reached (${why}).`);
  });
  const { statusCode: status, headers } = answer;
  await answer.body.dump({ limit: MAX_ANSWER }).catch(() => undefined);
  if (status >= 200 && status <= 299) return "taken";
  if (status === 410) return "gone";
  const retryAfter = retryAfterOf({ headers, text: "" });
  throw notTaken(`${name} answered ${status}.`, { retryAfter });
}

function signature(signed: string, secret: Buffer): string {
  return `v1,${createHmac("sha256", secret).update(signed).digest("base64")}`;
}
