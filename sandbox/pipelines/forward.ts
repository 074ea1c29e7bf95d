import { randomInt } from "node:crypto";
import { InfraError } from "../../core/errors.ts";
import { forwardTcp, type TcpForward } from "../tcp-forward.ts";

/** A name that steps use, with an address of this machine behind it. */
export interface Forwarder extends TcpForward {
  /** A line of /etc/hosts. */
  readonly hostsLine: string;
}

const ATTEMPTS = 20;

/**
 * Makes a server reachable under the name and port of another URL, for programs that read `hostsLine`.
 * It listens on a loopback address of its own, because two sandboxes may need the same port.
 * Errors: RDEV_PREREQUISITE if this user may not listen on the port.
 */
export async function forward(from: URL, to: URL): Promise<Forwarder> {
  const port = portOf(from);
  const server = { host: to.hostname, port: portOf(to) };
  for (let attempt = 1; ; attempt += 1) {
    const host = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    try {
      const listening = await forwardTcp({ host, port }, server);
      return { ...listening, hostsLine: `${host} ${from.hostname}` };
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
