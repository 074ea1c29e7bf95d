/**
 * The main job, before your eyes: a platform made by Pulumi's own engine on the sandbox's servers, and
 * on it a project through the API, proved by looking at those servers, and deleted without a trace.
 */
import { styleText } from "node:util";
import { NO_CHANGES, type Outcome } from "../core/operation.ts";
import { destroy, up } from "../automation/engine/stack.ts";
import type { NumberedEventView } from "../automation/service/schemas/operation.ts";
import type { projectView } from "../automation/service/schemas/project.ts";
import { InfraError, userMessage } from "../core/errors.ts";
import { slugFromName } from "../core/slug.ts";
import { PLATFORM, sandboxPlatform } from "./platform.ts";
import { proveCitadel } from "./proofs/citadel.ts";
import { proveDns } from "./proofs/dns.ts";
import { proveGit } from "./proofs/git.ts";
import { citadelLabelsOf, proveKubernetes } from "./proofs/kubernetes.ts";
import { makeNeighbour } from "./proofs/neighbour.ts";
import { leftovers, systemsAsked } from "./proofs/nothing-left.ts";
import { provePostgres } from "./proofs/postgres.ts";
import { proveRedis } from "./proofs/redis.ts";
import { proveRegistry } from "./proofs/registry.ts";
import { expect, type Sight, type Stage } from "./proofs/stage.ts";
import { proveWoodpecker } from "./proofs/woodpecker.ts";
import { type Sandbox, startSandbox } from "./sandbox.ts";
import { type SandboxService, startService } from "./service.ts";

type ProjectView = ReturnType<typeof projectView>;

const NAME = "My First Project!";
const NEIGHBOUR = "neighbour";

const begin = Date.now();
let sandbox: Sandbox | undefined;
let service: SandboxService | undefined;
try {
  await demo();
  console.log(`\n${styleText("bold", "Done")} in ${since(begin)}; the servers are stopped.`);
} catch (error) {
  console.error(`\n${styleText("red", "✖")} ${userMessage(error)}`);
  process.exitCode = 1;
} finally {
  await service?.stop();
  await sandbox?.stop();
}

async function demo(): Promise<void> {
  const settings = await sandboxPlatform();
  const { domain, gitOrganization: organization, workloads } = settings;
  const slug = slugFromName(NAME);

  const {
    env,
    dns,
    workFolder: workDir,
  } = await step("the local platform starts", async () => {
    sandbox = await startSandbox({
      ...settings,
      onProgress: ({ part, text }) => part !== "sandbox" && text !== "ready" && note(part, text),
    });
    return [sandbox, [sandbox.engine.description, ...partLines(sandbox)]];
  });
  // The engine, its plugins and the providers find the servers by these, and by nothing else.
  Object.assign(process.env, env);

  await step(`up ${PLATFORM}`, async () => {
    const outcome = done(await up(PLATFORM, { workDir }));
    const labelled = await Promise.all(
      workloads.map(async (workload) => {
        const labels = Object.keys(await citadelLabelsOf({ env }, workload));
        expect(labels.length === 2, `${workload.name} is labelled`);
        return workload.name;
      }),
    );
    return [
      outcome,
      [changed(outcome), `the log agent runs; labelled: ${labelled.join(", ")}`],
    ] as const;
  });
  const api = await step("rdev-infra service answers", async () => {
    service = await startService({ env });
    return [service, [`${service.url}, with a key of an administrator`]] as const;
  });
  await step(`POST /v1/projects: create "${NAME}"`, async () => {
    const events: NumberedEventView[] = [];
    const onEvent = (event: NumberedEventView) => void events.push(event);
    const body = { name: NAME };
    const { outcome, id } = await api.operate("POST", "/v1/projects", { body, onEvent });
    return [undefined, [`operation ${id}: ${followed(events)}`, changed(outcome)]];
  });
  const path = `/v1/projects/${slug}`;
  const project = await step(`GET ${path}`, async () => {
    const found = await api.call<ProjectView>("GET", path);
    return [found, [`${found.status}, ${found.urls.site}, tenant ${found.tenantId}`]] as const;
  });

  const tenantId = project.tenantId ?? "";
  const stage: Stage = { slug, name: NAME, organization, domain, dns, tenantId, env };
  const neighbour = await makeNeighbour(NEIGHBOUR, env);
  for (const [system, prove] of [
    ["Gitea", proveGit],
    ["DNS", proveDns],
    ["PostgreSQL", provePostgres],
    ["Redis", proveRedis],
    ["Kubernetes", proveKubernetes],
    ["Woodpecker", proveWoodpecker],
    ["registry", proveRegistry],
    ["Citadel", proveCitadel],
  ] as const) {
    await step(`${system} shows it`, async () => [undefined, await prove(stage, NEIGHBOUR)]);
  }
  await neighbour.remove();

  await step(`PUT ${path} again`, async () => {
    const { outcome } = await api.operate("PUT", path, { body: {} });
    const { create, update, replace, delete: deleted } = outcome?.changes ?? NO_CHANGES;
    expect(create + update + replace + deleted === 0, "the same again changes nothing");
    return [undefined, [changed(outcome)]];
  });
  await step(`DELETE ${path}?dryRun=true`, async () => {
    const { outcome } = await api.operate("DELETE", `${path}?dryRun=true`);
    return [undefined, [`would be: ${changed(outcome)}`]];
  });
  await step(`DELETE ${path}`, async () => {
    const { outcome, remaining } = await api.operate("DELETE", path);
    expect(remaining.length === 0, `nothing remains (${JSON.stringify(remaining)})`);
    const { items } = await api.call<{ items: unknown[] }>("GET", "/v1/projects");
    expect(items.length === 0, "the project is off the record");
    return [undefined, [changed(outcome), "by the servers' word nothing remains"]];
  });
  await step(`destroy ${PLATFORM}`, async () => {
    await api.stop();
    service = undefined;
    return [undefined, [changed(done(await destroy(PLATFORM, { workDir, remove: true })))]];
  });
  await step("nothing is left", async () => {
    const left = await Promise.all(
      [slug, NEIGHBOUR, PLATFORM, "rdev-platform", "observability"].map((name) =>
        leftovers({ slug: name, organization, domain, dns, env }),
      ),
    );
    expect(left.flat().length === 0, `nothing is left (${left.flat().join(", ")})`);
    for (const workload of workloads) {
      const labels = Object.keys(await citadelLabelsOf({ env }, workload));
      expect(labels.length === 0, `the labels of ${workload.name} are taken back`);
    }
    return [undefined, [`asked: ${systemsAsked().join(", ")}; the labels are taken back`]];
  });
}

/** Runs one step, and prints what was seen and how long it took. */
async function step<T>(title: string, work: () => Promise<readonly [T, Sight]>): Promise<T> {
  const start = Date.now();
  const [result, sight] = await work();
  console.log(`${styleText("green", "✔")} ${title} ${styleText("dim", since(start))}`);
  for (const line of sight) console.log(`    ${line}`);
  return result;
}

function note(part: string, text: string): void {
  console.error(styleText("dim", `  ${since(begin)} ${part}: ${text}`));
}

function done(outcome: Outcome): Outcome {
  if (outcome.result === "succeeded") return outcome;
  const lines = outcome.errors.map(({ code, message }) => (code ? `${code}: ${message}` : message));
  throw new InfraError("RDEV_ENGINE", lines.join("\n"));
}

function followed(events: readonly NumberedEventView[]): string {
  const resources = events.filter(
    ({ event }) => event.event === "resourceDone" && !event.component,
  );
  return `followed through ${events.length} events, ${resources.length} resources done`;
}

function changed(outcome: Pick<Outcome, "changes"> | undefined): string {
  const counts = Object.entries(outcome?.changes ?? NO_CHANGES).filter(([, count]) => count > 0);
  return counts.map(([kind, count]) => `${String(count)} ${kind}`).join(", ") || "no changes";
}

function partLines({ parts }: Sandbox): string[] {
  const names = (real: boolean) =>
    parts
      .filter((part) => part.real === real)
      .map(({ name, version }) => (version ? `${name} ${version}` : name))
      .join(", ");
  return [`real: ${names(true)}`, `stand-ins: ${names(false)}`];
}

function since(start: number): string {
  return `${((Date.now() - start) / 1000).toFixed(1)} s`;
}
