import { readFile } from "node:fs/promises";
import { join } from "node:path";
import pTimeout from "p-timeout";
import { parse } from "yaml";
import { z } from "zod";
import {
  type ConnectionName,
  connection,
  connectionSecrets,
  isCitadelEnabled,
} from "../../core/connections.ts";
import { asInfraError, type ErrorCode, InfraError, redact } from "../../core/errors.ts";
import { parsePlatformSettings, type PlatformSettings } from "../../core/settings.ts";
import { claimedNames } from "../../stacks/platform.ts";
import { type Check, type Examined, type Finding, ok, skipped } from "../../providers/check.ts";
import { checks as citadel } from "../../providers/citadel/checks.ts";
import { checks as dns } from "../../providers/dns/checks.ts";
import { checks as gitea } from "../../providers/gitea/checks.ts";
import {
  checks as kubernetes,
  serviceChecks as kubernetesService,
} from "../../providers/kubernetes/checks.ts";
import { checks as postgres } from "../../providers/postgres/checks.ts";
import { checks as redis } from "../../providers/redis/checks.ts";
import { checks as registry } from "../../providers/registry/checks.ts";
import { checks as woodpecker } from "../../providers/woodpecker/checks.ts";
import { ownerOfStack } from "../engine/state.ts";
import { clockCheck } from "./clocks.ts";
import { ownChecks } from "./own-checks.ts";
import { NOT_INSTALLED, serviceChecks } from "./service-checks.ts";

/** For each check, in ms. */
const DEADLINE = 20_000;

export interface DoctorOptions {
  /** Without it, everything that depends on the platform's settings is skipped. */
  readonly platform?: string | undefined;
  /** Holds `Pulumi.yaml` and the stacks' files. */
  readonly workDir: string;
  /** For each check, in ms. Default: 20 s. */
  readonly deadline?: number | undefined;
  /** Whether it is a failure that the settings do not install the service. @default false */
  readonly install?: boolean;
}

/** A line of the report. */
export interface Diagnosis extends Finding {
  readonly system: string;
  /** Several with the same finding are together: `version, clock`. */
  readonly check: string;
}

/** Every check, in the order of the report. */
function allChecks(workDir: string, { settings }: Examined): Check[] {
  const hasService = settings?.service !== undefined;
  const all = [
    ...ownChecks(workDir),
    ...(hasService ? serviceChecks : []),
    ...kubernetes,
    ...(hasService ? kubernetesService : []),
    ...postgres,
    ...redis,
    ...gitea,
    clockCheck("Gitea", "gitea"),
    ...woodpecker,
    clockCheck("Woodpecker", "woodpecker"),
    ...dns,
    clockCheck("DNS", "dns"),
    ...registry,
    clockCheck("Registry", "registry"),
    ...citadel,
    clockCheck("Citadel", "citadel"),
  ];
  return all.filter(({ system }) => system !== "Citadel" || isCitadelEnabled());
}

/**
 * Asks every system at once whether a platform can come up there. Changes nothing. Three questions are
 * writes to a name that no object can have, because no read shows the right: on Gitea, in the registry
 * and on Cloudflare. A check that does not end in time has failed. Never throws.
 */
export async function diagnose(options: DoctorOptions): Promise<Diagnosis[]> {
  const { deadline = DEADLINE, platform, workDir, install = false } = options;
  const examined = await examine(platform, workDir, deadline);
  const { settings } = examined.facts;
  const checks = allChecks(workDir, examined.facts);
  const broken = brokenConnections(checks);
  const runnable = checks.filter(({ needs }) => needs.every((name) => !broken.has(name)));
  const findings = await Promise.all(
    runnable.map(async (check): Promise<Diagnosis> => {
      const { system, name } = check;
      return { system, check: name, ...(await runCheck(check, examined.facts, deadline)) };
    }),
  );
  return together([
    { system: "Settings", check: platform ?? "platform", ...examined.finding },
    ...(install && settings && !settings.service
      ? [{ system: "Service", check: "setting", ...NOT_INSTALLED }]
      : []),
    ...broken.values(),
    ...findings,
  ]);
}

async function runCheck(check: Check, facts: Examined, deadline: number): Promise<Finding> {
  return finding(() => within(deadline, check.run(facts)));
}

/** What the work finds; an error is a failure. */
async function finding(work: () => Promise<Finding>): Promise<Finding> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = asInfraError(error);
    const found = redact(`${code}: ${message}`, connectionSecrets());
    const todo = TODO[code];
    return { status: "failed", found, ...(todo !== undefined && { todo }) };
  }
}

function within<T>(deadline: number, work: Promise<T>): Promise<T> {
  const late = new InfraError("RDEV_DEADLINE", `There was no answer within ${deadline / 1000} s.`);
  return pTimeout(work, { milliseconds: deadline, message: late });
}

/** For errors whose messages do not say it. */
const TODO: Readonly<Partial<Record<ErrorCode, string>>> = {
  RDEV_UNAUTHORIZED: "Make a new credential, and set the variable to it.",
  RDEV_FORBIDDEN: "Give the credential the rights in docs/operations.md (Rights).",
  RDEV_DEADLINE: "Look at the server, and at what is between it and this machine.",
  RDEV_CONNECTION: "docs/reference.md explains each variable.",
};

/** The connections that the variables do not describe, each with its line. */
function brokenConnections(checks: readonly Check[]): Map<ConnectionName, Diagnosis> {
  const broken = new Map<ConnectionName, Diagnosis>();
  // The line belongs to the system of a check that needs nothing else.
  for (const { system, needs } of checks.toSorted((a, b) => a.needs.length - b.needs.length)) {
    for (const name of needs) {
      if (broken.has(name)) continue;
      try {
        connection(name);
      } catch (error) {
        const { code, message } = asInfraError(error);
        const [, ...mistakes] = message.split("\n  - ");
        broken.set(name, {
          system,
          check: "variables",
          status: "failed",
          found: `${code}: ${mistakes.join("; ")}`,
          todo: TODO.RDEV_CONNECTION ?? "",
        });
      }
    }
  }
  return broken;
}

/** One line for the checks of a system that failed for the same reason, such as a server that is down. */
function together(all: readonly Diagnosis[]): Diagnosis[] {
  const groups = Map.groupBy(all, ({ system, status, found, check }) =>
    status === "failed" ? `${system}\n${found}` : `${system}\n${check}\n${found}`,
  );
  return [...groups.values()].map((group) => ({
    ...group[0]!,
    check: group.map(({ check }) => check).join(", "),
  }));
}

interface ExaminedPlatform {
  readonly facts: Examined;
  readonly finding: Finding;
}

/** The platform's settings in its file, and what follows from them. */
async function examine(
  platform: string | undefined,
  workDir: string,
  deadline: number,
): Promise<ExaminedPlatform> {
  if (platform === undefined) {
    return { facts: {}, finding: skipped("name a platform to check what its settings need") };
  }
  let facts: Examined = { platform };
  const found = await finding(async () => {
    const settings = await settingsIn(workDir, platform);
    facts = { platform, settings };
    const owner = await within(deadline, ownerOfStack(platform, workDir)).catch(() => undefined);
    if (!owner) return ok("valid");
    facts = { ...facts, claim: { ...claimedNames(platform, settings), platform, owner } };
    return ok(owner.stack === "" ? "valid; the platform was never brought up" : "valid");
  });
  return { facts, finding: found };
}

const file = z.object({ config: z.record(z.string(), z.unknown()).default({}) });

async function settingsIn(workDir: string, platform: string): Promise<PlatformSettings> {
  const name = `Pulumi.${platform}.yaml`;
  const text = await readFile(join(workDir, name), "utf8").catch(() => {
    throw new InfraError(
      "RDEV_SETTINGS",
      `${name} is not in ${workDir}. Write the platform's settings there, or name the folder with ` +
        "--work-dir.",
    );
  });
  const { config } = file.parse(parse(text));
  const own = Object.entries(config).filter(([key]) => key.startsWith("rdev:"));
  return parsePlatformSettings(
    Object.fromEntries(own.map(([key, value]) => [key.slice("rdev:".length), value])),
  );
}
