import { forwardTcp, type TcpForward } from "../tcp-forward.ts";

const LOOPBACK = "127.0.0.1";

/** Makes servers that listen on 127.0.0.1 reachable on another address of this machine. */
export interface Forwarder {
  /**
   * Forwards TCP connections to the port of a URL on 127.0.0.1, and returns the URL with the other
   * address. Other URLs are returned as they are. Idempotent.
   */
  forward(url: string): Promise<string>;
  /** Ends all connections. */
  close(): Promise<void>;
}

export function createForwarder(address: string): Forwarder {
  const forwards = new Map<number, Promise<TcpForward>>();

  return {
    async forward(url) {
      const parsed = new URL(url);
      if (parsed.hostname !== LOOPBACK) return url;
      const port = Number(parsed.port);
      const listening =
        forwards.get(port) ?? forwardTcp({ host: address, port }, { host: LOOPBACK, port });
      forwards.set(port, listening);
      await listening;
      return url.replace(parsed.host, `${address}:${port}`);
    },
    async close() {
      for (const one of await Promise.allSettled(forwards.values())) {
        // `forward` has reported why another one does not listen.
        if (one.status === "fulfilled") await one.value.close();
      }
    },
  };
}
