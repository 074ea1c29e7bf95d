import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { InfraError } from "../core/errors.ts";

const HOST = "127.0.0.1";
// Below the kernel's range for outgoing connections (32768 and up on Linux), so that no client takes a
// port between its reservation and the start of its server.
const FIRST = 20_000;
const LAST = 32_000;
const BLOCK = 20;

/** A block of ports that no other sandbox uses. */
export interface Ports {
  /** A port that was free for TCP and UDP on 127.0.0.1 when the block was reserved. */
  take(): number;
  release(): void;
}

/**
 * Reserves a block of ports. This process listens on the first port of the block, which tells other
 * sandboxes that the block is in use. The reservation ends with the process.
 */
export async function reservePorts(): Promise<Ports> {
  const blocks = Math.floor((LAST - FIRST) / BLOCK);
  const start = Math.floor(Math.random() * blocks);
  for (let i = 0; i < blocks; i++) {
    const base = FIRST + ((start + i) % blocks) * BLOCK;
    const reservation = await listen(base);
    if (!reservation) continue;
    const ports = Array.from({ length: BLOCK - 1 }, (_, offset) => base + 1 + offset);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) {
      reservation.unref();
      return {
        take() {
          const port = ports.shift();
          if (port === undefined)
            throw new InfraError("RDEV_INTERNAL", `a sandbox needs more than ${BLOCK - 1} ports`);
          return port;
        },
        release: () => void reservation.close(),
      };
    }
    reservation.close();
  }
  throw new InfraError(
    "RDEV_PREREQUISITE",
    `There are no ${BLOCK} consecutive free ports from ${FIRST} to ${LAST}. Stop the programs that use them.`,
  );
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (!server) return false;
  server.close();
  await once(server, "close");
  const socket = createSocket("udp4");
  try {
    socket.bind(port, HOST);
    await once(socket, "listening");
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

async function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  try {
    server.listen({ host: HOST, port, exclusive: true });
    await once(server, "listening");
    return server;
  } catch {
    return undefined;
  }
}
