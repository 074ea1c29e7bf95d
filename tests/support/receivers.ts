import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";
import { Webhook } from "standardwebhooks";
import { z } from "zod";

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

interface TestReceiver {
  readonly url: string;
  /** The verified events, in the order of their arrival. */
  readonly events: ReceivedEvent[];
  close(): Promise<void>;
}

type Answer = (event: ReceivedEvent, response: ServerResponse) => void;

/**
 * A receiver that checks signatures with the library of Standard Webhooks. `answer` decides what it
 * answers to an event; by default it takes all.
 */
export async function webhookReceiver(
  secret: string,
  answer: Answer = (_event, response) => void response.writeHead(204).end(),
): Promise<TestReceiver> {
  const events: ReceivedEvent[] = [];
  const server = createServer((request, response) => {
    void verified(request, secret).then(
      (event) => {
        events.push(event);
        answer(event, response);
      },
      (error: unknown) => response.writeHead(401).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/events`,
    events,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function verified(request: IncomingMessage, secret: string): Promise<ReceivedEvent> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
  );
  new Webhook(secret).verify(text, headers);
  const event = cloudEvent.parse(JSON.parse(text));
  if (event.id !== request.headers["webhook-id"]) throw new Error("webhook-id is another id");
  if (!/^application\/cloudevents\+json/.test(request.headers["content-type"] ?? "")) {
    throw new Error("not a CloudEvent in structured mode");
  }
  return event;
}

interface ReceivedMail {
  readonly to: readonly string[];
  readonly text: string;
  readonly secure: boolean;
}

interface MailServer {
  readonly port: number;
  readonly mails: ReceivedMail[];
  close(): Promise<void>;
}

/** An SMTP server on this machine, for one account. `tls`: with a self-signed certificate. */
export async function mailServer(
  account: { readonly user: string; readonly password: string },
  { startTls, refuses }: { readonly startTls: boolean; readonly refuses?: string },
): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const server = new SMTPServer({
    disabledCommands: startTls ? [] : ["STARTTLS"],
    allowInsecureAuth: true,
    onAuth({ username, password }, _session, done) {
      const isKnown = username === account.user && password === account.password;
      if (isKnown) done(null, { user: account.user });
      else done(new Error(`wrong password ${password}`));
    },
    onRcptTo({ address }, _session, done) {
      done(address === refuses ? new Error("no such mailbox") : null);
    },
    onData(stream, { envelope, secure }, done) {
      let text = "";
      stream.setEncoding("utf8");
      stream.on("data", (chunk: string) => void (text += chunk));
      stream.on("end", () => {
        mails.push({ to: envelope.rcptTo.map(({ address }) => address), text, secure });
        done();
      });
    },
  });
  server.on("error", () => undefined); // a client that refuses the certificate
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
