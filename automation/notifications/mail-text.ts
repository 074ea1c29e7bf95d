import type { Notification } from "../../core/notification.ts";
import { count } from "../../core/previews/text.ts";
import type { ClaimedEvent } from "./outbox.ts";

interface MailText {
  readonly subject: string;
  readonly text: string;
}

/** An event as the subject and the text of an e-mail. */
export function mailText({ id, at, event }: ClaimedEvent, platform: string): MailText {
  const { title, lines } = contentOf(event);
  return {
    subject: `[${platform}] ${title}`,
    text: [title, "", ...lines, "", `${event.kind} ${id} ${at.toISOString()}`, ""].join("\n"),
  };
}

interface Content {
  readonly title: string;
  readonly lines: readonly string[];
}

function contentOf(event: Notification): Content {
  switch (event.kind) {
    case "operation.failed":
      return {
        title: `${event.slug}: ${event.what} failed`,
        lines: [
          ...event.errors.map(({ code, message }) => (code ? `${code}: ${message}` : message)),
          `Operation ${event.operation}, requested by ${event.actor}`,
        ],
      };
    case "rollout.waiting":
      return {
        title: "a rollout waits for a person",
        lines: [event.reason, `Rollout ${event.rollout}`],
      };
    case "rollout.ended":
      return {
        title: `a rollout ended: ${event.result}`,
        lines: [
          ...(event.reason === undefined ? [] : [event.reason]),
          `${event.succeeded} updated, ${event.failed.length} failed, ${event.held.length} held back`,
          ...section("Failed:", event.failed.map(failureLine)),
          ...section("Held back, because the plan changed:", event.held.map(failureLine)),
          `Rollout ${event.rollout}`,
        ],
      };
    case "drift.found":
      return {
        title:
          `${event.differing.length} of ${event.checked} projects differ from their settings` +
          (event.failed.length > 0 ? `, ${event.failed.length} could not be checked` : ""),
        lines: [
          ...section(
            "Differ:",
            event.differing.map(
              ({ slug, since, resources }) =>
                `${slug}: ${count(resources, "resource", "resources")}, since ${since}`,
            ),
          ),
          ...section("Could not be checked:", event.failed.map(failureLine)),
        ],
      };
    case "project.ending":
      return { title: `${event.slug}: ${ENDING[event.step]}`, lines: [`At ${event.at}`] };
  }
}

const ENDING = {
  notice: "its time to live ends soon",
  stopped: "its time to live has ended, so it was stopped",
  deleting: "its grace is over, so it is deleted",
} as const;

function failureLine({ slug, message }: { readonly slug: string; readonly message: string }) {
  return `${slug}: ${message}`;
}

/** Nothing if there are no lines. */
function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}
