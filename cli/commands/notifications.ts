import type { Command } from "commander";
import type { Delivery } from "../../core/notification-delivery.ts";
import { count } from "../../core/previews/text.ts";
import { printable } from "../text.ts";

export function addNotifications(program: Command): void {
  const notifications = program
    .command("notifications")
    .description(
      "the notifications that receivers have not taken, through the API of RDEV_INFRA_URL",
    );
  notifications
    .command("list")
    .description("list them, newest first, with the reason of the last failure")
    .option("--given-up", "only those that are not sent again")
    .option("--json", "print each one as JSON")
    .action(list);
  const command = notifications
    .command("resend [id]")
    .description("send a notification again to the receivers for which it was given up")
    .option("--all", "all that were given up")
    .option("--json", "print the result as JSON")
    .action(async (id: string | undefined, options: { all?: true; json?: true }) => {
      if ((id === undefined) === (options.all === undefined)) {
        return command.error("error: name a notification's id, or --all");
      }
      await resend(id, options);
    });
}

async function list({ givenUp, json }: { givenUp?: true; json?: true }): Promise<void> {
  const { api, delivery } = await open();
  const state = givenUp && "given-up";
  let found = 0;
  for await (const one of api.items("/v1/notifications", delivery, { state })) {
    console.log(json ? JSON.stringify(one) : lineOf(one));
    found += 1;
  }
  if (found === 0 && !json) {
    console.error(givenUp ? "None was given up." : "Receivers have taken all notifications.");
  }
}

async function resend(id: string | undefined, { json }: { json?: true }): Promise<void> {
  const { api, resent } = await open();
  const path = id === undefined ? "resend" : `${encodeURIComponent(id)}/resend`;
  const answer = await api.call("POST", `/v1/notifications/${path}`, resent);
  if (json) return console.log(JSON.stringify(answer));
  console.log(`${count(answer.resent, "notification is", "notifications are")} sent again.`);
}

/** `2026-…  <id>  ops: drift.found of drift given up after 12 attempts: ops answered 410…`. */
function lineOf({ id, receiver, state, kind, subject, at, attempts, reason }: Delivery): string {
  const how = state === "given-up" ? "given up" : "waiting";
  const why = reason === undefined ? "" : `: ${printable(reason)}`;
  const tries = count(attempts, "attempt", "attempts");
  return `${at}  ${id}  ${printable(`${receiver}: ${kind} of ${subject}`)} ${how} after ${tries}${why}`;
}

/** Loads the modules that only these commands need. */
async function open() {
  const [{ ApiClient }, { delivery, resent }] = await Promise.all([
    import("../api/client.ts"),
    import("../../core/notification-delivery.ts"),
  ]);
  return { api: new ApiClient(), delivery, resent };
}
