import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { Webhook } from "standardwebhooks";
import { z } from "zod";
import { createStandIn, listen } from "./stand-in.ts";

/** How many notifications are kept. */
const MAX_KEPT = 100;

const cloudEvent = z.strictObject({
  specversion: z.literal("1.0"),
  id: z.uuid(),
  source: z.string(),
  type: z.string(),
  subject: z.string(),
  time: z.iso.datetime(),
  datacontenttype: z.literal("application/json"),
  data: z.record(z.string(), z.unknown()),
});

export type ReceivedEvent = z.output<typeof cloudEvent>;

/** A body and its headers, whose names are in lower case. */
interface WebhookCall {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** The event of a call. Throws unless the library of Standard Webhooks accepts the call's signature. */
export function verifiedEvent({ headers, body }: WebhookCall, secret: string): ReceivedEvent {
  const single = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
  new Webhook(secret).verify(body, Object.fromEntries(single));
  const event = cloudEvent.parse(JSON.parse(body));
  if (event.id !== headers["webhook-id"]) throw new Error("webhook-id is another id");
  if (!/^application\/cloudevents\+json/.test(String(headers["content-type"]))) {
    throw new Error("not a CloudEvent in structured mode");
  }
  return event;
}

export interface ReceivedMail {
  readonly to: readonly string[];
  /** The header and the content, as they were sent. */
  readonly text: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
}

export interface MailServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts an SMTP server on 127.0.0.1 that passes each e-mail to `onMail`. */
export async function startMailServer(
  options: SMTPServerOptions,
  onMail: (mail: ReceivedMail) => void,
): Promise<MailServer> {
  const server = new SMTPServer({
    ...options,
    onData(stream, { envelope, secure }, done) {
      let text = "";
      stream.setEncoding("utf8");
      stream.on("data", (chunk: string) => void (text += chunk));
      stream.on("end", () => {
        onMail({ to: envelope.rcptTo.map(({ address }) => address), text, secure });
        done();
      });
    },
  });
  server.on("error", () => undefined); // a client that breaks its connection
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** Receivers of notifications, and the variables of a service that sends to them. */
export interface NotificationReceivers {
  /** Answers GET with what arrived, as JSON, the newest first. */
  readonly url: string;
  readonly variables: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Starts a receiver of webhooks and one of e-mails, and writes the service's settings into the folder. */
export async function startReceivers(folder: string): Promise<NotificationReceivers> {
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  const received: object[] = [];
  const keep = (what: object) => {
    received.unshift({ at: new Date().toISOString(), ...what });
    received.splice(MAX_KEPT);
  };
  const { app } = createStandIn();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.get("/", async (_request, reply) =>
    reply.type("application/json").send(`${JSON.stringify(received, undefined, 2)}\n`),
  );
  app.post<{ Body: string }>("/", async ({ headers, body }, reply) => {
    try {
      keep({ webhook: verifiedEvent({ headers, body }, secret) });
    } catch (error) {
      return reply.code(401).send(String(error));
    }
    return reply.code(204).send();
  });
  const url = await listen(app);
  const noAccounts = { disabledCommands: ["AUTH", "STARTTLS"], authOptional: true };
  const mails = await startMailServer(noAccounts, (mail) => keep({ mail }));
  const file = join(folder, "notifications.json");
  const settings = {
    webhooks: [{ name: "sandbox", url }],
    mails: [{ name: "sandbox-mail", to: ["you@example.test"] }],
    from: "rdev-infra@example.test",
  };
  await writeFile(file, JSON.stringify(settings), { mode: 0o600 });
  const variables = {
    RDEV_INFRA_NOTIFICATIONS_FILE: file,
    RDEV_INFRA_WEBHOOK_SECRETS: JSON.stringify({ sandbox: secret }),
    SMTP_URL: `smtp://127.0.0.1:${mails.port}`,
  };
  return {
    ...{ url, variables },
    async close() {
      await Promise.all([app.close(), mails.close()]);
    },
  };
}
