import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy that cuts all connections after a number of chunks. */
interface CuttingProxy {
  /** `host:port`. */
  readonly address: string;
  /** Sets how many more chunks of clients pass, on all connections together, before all are cut. */
  allow(pieces: number): void;
  close(): Promise<void>;
}

export async function startCuttingProxy(target: URL): Promise<CuttingProxy> {
  let left = Infinity;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    upstream.pipe(client);
    client.on("data", (piece) => {
      left -= 1;
      if (left < 0) client.resetAndDestroy();
      else upstream.write(piece);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    address: `127.0.0.1:${address.port}`,
    allow: (pieces) => {
      left = pieces;
    },
    close: () => {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
