import { isCitadelEnabled } from "../../core/connections.ts";
import { InfraError, userMessage } from "../../core/errors.ts";
import type { Remaining } from "../operations/operation.ts";
import type { Look, Place, Sight } from "./look.ts";
import { citadel } from "./looks/citadel.ts";
import { dns } from "./looks/dns.ts";
import { gitea } from "./looks/gitea.ts";
import { kubernetes } from "./looks/kubernetes.ts";
import { postgres } from "./looks/postgres.ts";
import { redis } from "./looks/redis.ts";
import { registry } from "./looks/registry.ts";
import { woodpecker } from "./looks/woodpecker.ts";

const LOOKS: readonly Look[] = [
  gitea,
  woodpecker,
  dns,
  registry,
  postgres,
  redis,
  kubernetes,
  citadel,
];

export interface LeftoversOptions {
  /** For each system, in ms: longer than a read is tried again. Default: 20 s. */
  readonly deadline?: number;
}

const DEADLINE = 20_000;

/**
 * What a project has on the servers, after a destroy or at any time: the servers are asked, not the
 * state. All at once; one that does not answer is named as `unreachable`, with the reason, and never
 * taken for empty. Never throws.
 */
export async function leftovers(
  place: Place,
  { deadline = DEADLINE }: LeftoversOptions = {},
): Promise<Remaining[]> {
  const found = await Promise.all(looksInUse().map((look) => remaining(look, place, deadline)));
  return found.flat();
}

/** The systems that `leftovers` asks, by the words that it uses. */
export function systemsAsked(): string[] {
  return looksInUse().map(({ system }) => system);
}

/** Without Citadel its variables need not be there, and nothing was made in it. */
function looksInUse(): Look[] {
  return LOOKS.filter((look) => look !== citadel || isCitadelEnabled());
}

async function remaining(look: Look, place: Place, deadline: number): Promise<Remaining[]> {
  const { system } = look;
  const closing = new AbortController();
  try {
    const sights = await within(deadline, look.at(place, closing.signal));
    return sights.map(({ what, why }) => ({ system, what, why }));
  } catch (error) {
    const reason = userMessage(error).replace(/\s*\n\s*/g, " ");
    return [{ system, what: `${look.what(place)} (${reason})`, why: "unreachable" }];
  } finally {
    closing.abort();
  }
}

async function within(ms: number, look: Promise<readonly Sight[]>): Promise<readonly Sight[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new InfraError("RDEV_DEADLINE", `It did not answer within ${ms / 1000} s.`));
    }, ms);
  });
  try {
    return await Promise.race([look, late]);
  } finally {
    clearTimeout(timer);
    look.catch(() => undefined); // of a look that is late: its failure is of no interest any more
  }
}
