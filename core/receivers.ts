import { z } from "zod";
import type { Connection } from "./connections.ts";
import { NOTIFICATION_KINDS } from "./notification.ts";
import { secureUrl } from "./setting-values.ts";

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,39}$/, "is not a name of at most 40 characters: a-z, 0-9 and hyphens");

const events = z
  .array(z.enum(NOTIFICATION_KINDS))
  .min(1, "names no kind of event")
  .default([...NOTIFICATION_KINDS]);

const webhook = z.strictObject({
  name,
  url: secureUrl.refine((text) => !hasCredentials(text), {
    error: "contains a user or a password; its secret belongs in RDEV_INFRA_WEBHOOK_SECRETS",
  }),
  /** The kinds of events that it wants. Default: all. */
  events,
});

const mail = z.strictObject({
  name,
  to: z.array(z.email("is not an e-mail address")).min(1, "names nobody"),
  /** The kinds of events that it wants. Default: all. */
  events,
});

/**
 * The settings of the receivers of notifications. Only the platform sets them: no route of the API and no
 * setting of a project names an address that the service sends to.
 */
export const notificationSettings = z
  .strictObject({
    webhooks: z.array(webhook).default([]),
    mails: z.array(mail).default([]),
    /** The sender of all e-mails. */
    from: z.email("is not an e-mail address").optional(),
  })
  .check((context) => {
    const { webhooks, mails, from } = context.value;
    const fail = (path: string, message: string) =>
      context.issues.push({ code: "custom", path: [path], message, input: context.value });
    if (mails.length > 0 && from === undefined) fail("from", "is missing, and mails needs it");
    const names = [...webhooks, ...mails].map((receiver) => receiver.name);
    for (const twice of new Set(names.filter((each, at) => names.indexOf(each) !== at))) {
      fail("name", `two receivers have the name "${twice}"`);
    }
  });

export type NotificationSettings = z.output<typeof notificationSettings>;
export type WebhookSettings = z.output<typeof webhook>;
export type MailSettings = z.output<typeof mail>;

/** The secrets that the receivers lack, and the ones that belong to none. The texts hold no secret. */
export function secretMistakes(
  { webhooks, mails }: NotificationSettings,
  { secrets, smtp }: Pick<Connection<"notifications">, "secrets" | "smtp">,
): string[] {
  const names = webhooks.map((each) => each.name);
  return [
    ...names
      .filter((each) => !secrets.has(each))
      .map((each) => `webhooks: "${each}" has no secret in RDEV_INFRA_WEBHOOK_SECRETS`),
    ...[...secrets.keys()]
      .filter((each) => !names.includes(each))
      .map((each) => `RDEV_INFRA_WEBHOOK_SECRETS: no webhook has the name "${each}"`),
    ...(mails.length > 0 && smtp === undefined ? ["mails: needs the variable SMTP_URL"] : []),
  ];
}

function hasCredentials(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password } = new URL(text);
  return username !== "" || password !== "";
}
