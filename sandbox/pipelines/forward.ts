import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { InfraError } from "../../core/errors.ts";

/** A name that steps use, with an address of this machine behind it. */
export interface Forwarder {
  /** A line of /etc/hosts. */
  readonly hostsLine: string;
  close(): Promise<void>;
}

const ATTEMPTS = 20;

/**
 * Makes a server reachable under the name and port of another URL, for programs that read `hostsLine`.
 * It listens on a loopback address of its own, because two sandboxes may need the same port.
 * Errors: RDEV_PREREQUISITE if this user may not listen on the port.
 */
export async function forward(from: URL, to: URL): Promise<Forwarder> {
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.on("close", () => clients.delete(client));
    const upstream = connect({ host: to.hostname, port: portOf(to) });
    client.pipe(upstream).pipe(client);
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    client.on("close", () => upstream.destroy());
  });
  const address = await listen(server, portOf(from));
  // Only pipelines use it, so it must not keep this process running.
  server.unref();
  return {
    hostsLine: `${address} ${from.hostname}`,
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}

async function listen(server: Server, port: number): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    try {
      server.listen({ host: address, port });
      await once(server, "listening");
      return address;
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "EADDRINUSE" && attempt < ATTEMPTS) continue;
      const text = `Pipelines reach the Kubernetes API on port ${port}, and this user may not listen there (${code}). Start the sandbox as root.`;
      throw new InfraError("RDEV_PREREQUISITE", text, { cause });
    }
  }
}

function portOf({ port, protocol }: URL): number {
  return Number(port || (protocol === "https:" ? 443 : 80));
}
