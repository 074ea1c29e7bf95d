import { join } from "node:path";
import { CoreV1Api } from "@kubernetes/client-node";
import { execa } from "execa";
import { z } from "zod";
import type { SandboxNode } from "../cluster.ts";
import { until } from "../process.ts";
import { type DeployedProject, kubeConfig, type ProjectOnServers } from "../proofs/project.ts";
import { type Evidence, expect } from "../proofs/proofs.ts";
import { onlyCurrentPods } from "./deployed-pods.ts";
import { visitWithFailure } from "./page.ts";

const COMMAND = join(import.meta.dirname, "../../cli/rdev-infra.js");
const REQUESTS = 10;
/** The agent sends every 5 s. */
const ARRIVAL_MS = 60_000;

/** A line of the template `skeleton`. */
const lineSchema = z.object({
  level: z.string(),
  msg: z.string(),
  status: z.number().optional(),
  error: z.string().optional(),
});
type Line = z.output<typeof lineSchema>;

/** Sends ten requests, one of which fails, and reads their lines in the pods' logs. */
export async function proveLines(project: DeployedProject, node: SandboxNode): Promise<Evidence> {
  const before = await requestLines(project);
  await visitWithFailure(project, node, REQUESTS);
  let lines: Line[] = [];
  await until(async () => {
    lines = (await requestLines(project)).slice(before.length);
    expect(lines.length >= REQUESTS, `the log has ${REQUESTS} lines more (${lines.length})`);
  });
  const failures = lines.filter(({ level }) => level === "ERROR");
  expect(lines.length === REQUESTS, `there is one line for each request (${lines.length})`);
  expect(failures.length === 1, `one of them is an error (${failures.length})`);
  const { status, error } = failures[0] ?? {};
  return [
    `the pod's log, from the API server: ${lines.length} lines of JSON, ` +
      `one of level ERROR: status ${status}, "${error}"`,
  ];
}

/** The lines about requests in the logs of the project's pods. */
async function requestLines(project: ProjectOnServers): Promise<Line[]> {
  const core = kubeConfig(project).makeApiClient(CoreV1Api);
  const logs = await Promise.all(
    (await onlyCurrentPods(project)).map((name) =>
      core.readNamespacedPodLog({ namespace: project.slug, name }),
    ),
  );
  return logs
    .join("")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => lineSchema.parse(JSON.parse(line)))
    .filter(({ msg }) => msg === "request");
}

const entrySchema = z.object({
  level: z.string(),
  service: z.string(),
  message: z.string(),
  metadata: z.record(z.string(), z.unknown()),
});

/** The query of the platform's users. */
export function errorQuery(slug: string): string {
  return `rdev-infra logs "level:error" --project ${slug}`;
}

/**
 * Waits until the agent has sent the one error of each project. The query must find the project's
 * own one, and no other project's.
 */
export async function proveQuery(
  project: DeployedProject,
  other: DeployedProject,
): Promise<Evidence> {
  let evidence: string[] = [];
  const check = async () => {
    const [found, others] = await Promise.all([project, other].map(errorsOf));
    expect(found?.length === 1 && others?.length === 1, "each project has one error");
    const [entry] = found;
    expect(entry?.service === project.slug, "it is the project's");
    expect(others[0]?.service === other.slug, "the other one is the other project's");
    evidence = [`one line: ${entry.message}, error="${String(entry.metadata["error"])}"`];
  };
  await until(check, undefined, ARRIVAL_MS);
  return [...evidence, `${other.slug} has an error of its own, and only its own query finds it`];
}

/**
 * Asks the plan's queries about all projects and about the actions on one, which the service has written
 * to the audit trail and sent to Citadel.
 */
export async function proveWiderQueries(
  project: DeployedProject,
  other: DeployedProject,
): Promise<Evidence> {
  const { slug, env } = project;
  const slugs = [slug, other.slug];
  let evidence: string[] = [];
  const check = async () => {
    const [errors = [], created = [], ...actions] = await Promise.all(
      [
        ["level:error", "--group", "projects"],
        ["action:project.create", "--platform", "--last", "7d"],
        [`project_id:${slug}`, "--platform", "--last", "24h"],
        [`project_id:${slug}`, "--all", "--last", "24h"],
      ].map((query) => find(env, query)),
    );
    const services = errors.map(({ service }) => service).toSorted();
    expect(services.join() === slugs.toSorted().join(), `the errors are of ${services.join()}`);
    const successes = created.map(({ message }) => message).filter((one) => / success$/.test(one));
    for (const one of slugs) {
      expect(successes.includes(`project.create ${one} success`), `${one} was created`);
    }
    for (const found of actions) {
      const isOnly = found.every(({ metadata }) => metadata["project_id"] === slug);
      expect(found.length > 0 && isOnly, `only actions on ${slug} are found`);
    }
    evidence = [
      `level:error --group projects: one line of each, ${services.join(" and ")}`,
      `action:project.create --platform: ${successes.join(", ")}`,
      `project_id:${slug} --platform and --all: ${actions.map(({ length }) => length).join(" and ")} lines`,
    ];
  };
  await until(check, undefined, ARRIVAL_MS);
  return evidence;
}

function errorsOf({ slug, env }: DeployedProject) {
  return find(env, ["level:error", "--project", slug]);
}

/** The lines that the query of a user finds. */
async function find(env: ProjectOnServers["env"], query: readonly string[]) {
  const { stdout } = await execa(process.execPath, [COMMAND, "logs", ...query, "--json"], { env });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => entrySchema.parse(JSON.parse(line)));
}
