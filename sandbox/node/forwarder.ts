import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

const LOOPBACK = "127.0.0.1";

/** Makes servers that listen on 127.0.0.1 reachable on another address of this machine. */
export interface Forwarder {
  /**
   * Forwards TCP connections to the port of a URL on 127.0.0.1, and returns the URL with the other
   * address. Other URLs are returned as they are. Idempotent.
   */
  forward(url: string): Promise<string>;
  /** Ends all connections. */
  close(): void;
}

export function createForwarder(address: string): Forwarder {
  const servers = new Map<number, Promise<Server>>();
  const sockets = new Set<Socket>();
  let isClosed = false;

  const join = (client: Socket, port: number) => {
    const server = connect({ host: LOOPBACK, port, allowHalfOpen: true });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay();
      from.pipe(to);
      // A broken connection ends on both sides, so that no client waits for an answer.
      from.on("error", () => to.resetAndDestroy());
      from.on("close", () => {
        sockets.delete(from);
        if (!from.readableEnded) to.destroy();
      });
    }
  };
  const listen = async (port: number): Promise<Server> => {
    const server = createServer({ allowHalfOpen: true }, (client) => join(client, port));
    server.listen({ host: address, port });
    await once(server, "listening");
    // Whoever started the sandbox decides when its process ends.
    server.unref();
    if (isClosed) server.close();
    return server;
  };

  return {
    async forward(url) {
      const parsed = new URL(url);
      if (parsed.hostname !== LOOPBACK) return url;
      const port = Number(parsed.port);
      const listening = servers.get(port) ?? listen(port);
      servers.set(port, listening);
      await listening;
      return url.replace(parsed.host, `${address}:${port}`);
    },
    close() {
      isClosed = true;
      for (const server of servers.values()) {
        server.then(
          (one) => one.close(),
          () => undefined, // `forward` has reported why it does not listen
        );
      }
      for (const socket of sockets) socket.destroy();
    },
  };
}
