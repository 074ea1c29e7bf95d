import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface TcpForward {
  /** Ends all connections, and listens no more. */
  close(): Promise<void>;
}

/**
 * Passes TCP connections to one address of this machine on to another. Each direction ends by itself,
 * and a broken connection breaks on both sides. It does not keep this process running.
 * Errors: Node's, such as EADDRINUSE, if it cannot listen.
 */
export async function forwardTcp(from: Address, to: Address): Promise<TcpForward> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ ...to, allowHalfOpen: true });
    for (const [source, sink] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(source);
      source.setNoDelay();
      source.pipe(sink);
      // Otherwise the other side would wait for an answer.
      source.on("error", () => sink.resetAndDestroy());
      source.on("close", () => {
        sockets.delete(source);
        if (!source.readableEnded) sink.destroy();
      });
    }
  });
  server.listen(from);
  await once(server, "listening");
  server.unref();
  return {
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
