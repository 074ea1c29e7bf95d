import { createTransport } from "nodemailer";
import { z } from "zod";
import { isLoopback } from "../../core/address.ts";
import { mailText } from "./mail-text.ts";
import type { ClaimedEvent } from "./outbox.ts";
import { type MailReceiver, notTaken } from "./receivers.ts";

/** The error of nodemailer: https://nodemailer.com/smtp/errors */
const smtpError = z.object({ code: z.string().optional(), responseCode: z.int().optional() });

interface SendOptions {
  readonly platform: string;
  /** In ms, for each step: connecting, the greeting, and each answer. */
  readonly deadline: number;
}

/**
 * Sends an event as an e-mail in plain text. A repeated e-mail has the same Message-ID. TLS is required,
 * except for a server on this machine. Returns how many of several recipients the server refused. Rejects
 * with RDEV_UNREACHABLE if it takes the e-mail for none.
 */
export async function mailEvent(
  { name, from, to, server }: MailReceiver,
  event: ClaimedEvent,
  { platform, deadline }: SendOptions,
): Promise<number> {
  const { protocol, hostname, port, username, password } = new URL(server);
  const transport = createTransport({
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port) || (protocol === "smtps:" ? 465 : 587),
    secure: protocol === "smtps:",
    requireTLS: protocol !== "smtps:" && !isLoopback(hostname),
    tls: { minVersion: "TLSv1.2" },
    ...(username !== "" && {
      auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
    }),
    connectionTimeout: deadline,
    greetingTimeout: deadline,
    socketTimeout: deadline,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    const { rejected } = await transport.sendMail({
      from,
      to: [...to],
      ...mailText(event, platform),
      messageId: `<${event.id}@rdev-infra.${platform}>`,
      date: event.at,
      headers: { "Auto-Submitted": "auto-generated" },
    });
    return rejected.length;
  } catch (error) {
    throw notTaken(`${name}: the mail server did not take it (${codeOf(error)}).`);
  } finally {
    transport.close();
  }
}

/** The code alone: the server's text may repeat the credentials. */
function codeOf(error: unknown): string {
  const { code = "no code", responseCode } = smtpError.parse(error);
  return responseCode === undefined ? code : `${code} ${responseCode}`;
}
