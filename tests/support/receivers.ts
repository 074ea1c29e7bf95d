import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import {
  type MailServer,
  type ReceivedEvent,
  type ReceivedMail,
  startMailServer,
  verifiedEvent,
} from "../../sandbox/notifications.ts";

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
  return verifiedEvent({ headers: request.headers, body: await text(request) }, secret);
}

/** An SMTP server on this machine, for one account. `startTls`: with a self-signed certificate. */
export async function mailServer(
  account: { readonly user: string; readonly password: string },
  { startTls, refuses }: { readonly startTls: boolean; readonly refuses?: string },
): Promise<MailServer & { readonly mails: ReceivedMail[] }> {
  const mails: ReceivedMail[] = [];
  const server = await startMailServer(
    {
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
    },
    (mail) => mails.push(mail),
  );
  return { ...server, mails };
}
