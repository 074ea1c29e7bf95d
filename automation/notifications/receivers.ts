import type { Connection } from "../../core/connections.ts";
import { InfraError, problems } from "../../core/errors.ts";
import {
  type MailSettings,
  notificationSettings,
  secretMistakes,
  type WebhookSettings,
} from "../../core/receivers.ts";
import { parseSettings, readSettingsFile } from "../settings-file.ts";

/** A receiver with its secrets. */
export type Receiver = WebhookReceiver | MailReceiver;

export interface WebhookReceiver extends WebhookSettings {
  /** Keys of Standard Webhooks. An event is signed with each, so that one can replace another. */
  readonly secrets: readonly Buffer[];
}

export interface MailReceiver extends MailSettings {
  readonly from: string;
  /** smtp:// or smtps://, with the credentials. */
  readonly server: string;
}

/**
 * The receivers of the file of RDEV_INFRA_NOTIFICATIONS_FILE, in YAML or JSON; none without the variable.
 * Rejects with one RDEV_NOTIFICATIONS that names every problem, but no secret.
 */
export async function readReceivers(
  variables: Connection<"notifications">,
): Promise<readonly Receiver[]> {
  const { file } = variables;
  if (file === undefined) return [];
  return parseReceivers(await readSettingsFile(file, "RDEV_NOTIFICATIONS"), variables);
}

export function parseReceivers(
  text: string,
  { file, secrets, smtp }: Connection<"notifications">,
): readonly Receiver[] {
  const content = parseSettings(text, file, "RDEV_NOTIFICATIONS");
  const parsed = notificationSettings.safeParse(content ?? {});
  const lines = parsed.success
    ? secretMistakes(parsed.data, { secrets, smtp })
    : parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the file"}: ${message}`);
  if (!parsed.success || lines.length > 0) {
    const head = `${file} has errors (docs/fleet.md#notifications lists its settings):`;
    throw problems("RDEV_NOTIFICATIONS", head, lines);
  }
  const { webhooks, mails, from = "" } = parsed.data;
  return [
    ...webhooks.map((each) => ({ ...each, secrets: secrets.get(each.name) ?? [] })),
    ...mails.map((each) => ({ ...each, from, server: smtp ?? "" })),
  ];
}

/** The error of a receiver that did not take an event. */
export function notTaken(reason: string, options: { retryAfter?: number | undefined } = {}) {
  return new InfraError("RDEV_UNREACHABLE", reason, options);
}
