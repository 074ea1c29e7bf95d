import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { z } from "zod";
import type { SandboxNode } from "../cluster.ts";

const CLIENT = join(import.meta.dirname, "visit.ts");

/** An answer to a request, or why there was none, such as ECONNREFUSED. */
const visitSchema = z.union([
  z.object({ status: z.number(), body: z.string() }),
  z.object({ error: z.string() }),
]);
export type Visit = z.output<typeof visitSchema>;

/** The part of a node that clients need. */
type Entrance = Pick<SandboxNode, "enter">;

export interface VisitOptions {
  readonly url: string;
  /** Requests. */
  readonly perSecond: number;
  /** @default no end */
  readonly count?: number;
}

/** Sends a number of requests from the node, where the addresses of Services work. */
export function visit(
  node: Entrance,
  options: VisitOptions & { readonly count: number },
): Promise<readonly Visit[]> {
  return startVisits(node, options).end;
}

/** Requests that are being sent, each on a connection of its own. */
export interface Visits {
  /** All visits, when the client has ended. */
  readonly end: Promise<readonly Visit[]>;
  /** Sends no further requests, and waits for the answers. */
  stop(): Promise<readonly Visit[]>;
}

/** Starts a client on the node. It also ends when this process does. */
export function startVisits(node: Entrance, { url, perSecond, count }: VisitOptions): Visits {
  const args = [CLIENT, url, String(perSecond), ...(count === undefined ? [] : [String(count)])];
  const [command, ...entered] = node.enter(process.execPath, args);
  const client = spawn(command, entered, { stdio: ["pipe", "pipe", "inherit"] });
  const end = (async () => {
    const [output] = await Promise.all([text(client.stdout), once(client, "exit")]);
    if (client.exitCode !== 0) throw new Error(`the client on the node failed: ${output}`);
    return output
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => visitSchema.parse(JSON.parse(line)));
  })();
  end.catch(() => undefined); // whoever waits for it gets the error
  return {
    end,
    stop() {
      client.stdin.end();
      return end;
    },
  };
}
