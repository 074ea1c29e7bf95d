/**
 * Demonstrates the whole life of a project on a sandbox of its own: Pulumi's engine brings up a
 * platform, the API creates a project, proofs on the servers show that it works, and after its deletion
 * nothing is left on the servers.
 */
import { styleText } from "node:util";
import { NO_CHANGES, type Outcome } from "../core/operation.ts";
import { destroy, up } from "../automation/engine/stack.ts";
import type { NumberedEventView } from "../automation/service/schemas/operation.ts";
import type { projectView } from "../automation/service/schemas/project.ts";
import { InfraError, userMessage } from "../core/errors.ts";
import { slugFromName } from "../core/slug.ts";
import { PLATFORM, sandboxPlatform } from "./platform.ts";
import { leftOnServers, SEARCHED_SYSTEMS } from "./proofs/left-on-servers.ts";
import { makeNeighbour } from "./proofs/neighbour.ts";
import { citadelLabelsOf, type DeployedProject } from "./proofs/project.ts";
import { type Evidence, expect, PROOFS } from "./proofs/proofs.ts";
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
  // The engine, its plugins and the providers read their connections only from these variables.
  Object.assign(process.env, env);

  await step(`up ${PLATFORM}`, async () => {
    const outcome = succeeded(await up(PLATFORM, { workDir }));
    const labelled = await Promise.all(
      workloads.map(async (workload) => {
        const labels = Object.keys(await citadelLabelsOf({ env }, workload));
        expect(labels.length === 2, `${workload.name} is labelled`);
        return workload.name;
      }),
    );
    return [
      outcome,
      [describeChanges(outcome), `the log agent runs; labelled: ${labelled.join(", ")}`],
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
    return [undefined, [`operation ${id}: ${describeEvents(events)}`, describeChanges(outcome)]];
  });
  const path = `/v1/projects/${slug}`;
  const project = await step(`GET ${path}`, async () => {
    const found = await api.call<ProjectView>("GET", path);
    return [found, [`${found.status}, ${found.urls.site}, tenant ${found.tenantId}`]] as const;
  });

  const tenantId = project.tenantId ?? "";
  const deployed: DeployedProject = { slug, name: NAME, organization, domain, dns, tenantId, env };
  const neighbour = await makeNeighbour(NEIGHBOUR, env);
  for (const [system, prove] of PROOFS) {
    await step(`${system} shows it`, async () => [undefined, await prove(deployed, NEIGHBOUR)]);
  }
  await neighbour.remove();

  await step(`PUT ${path} again`, async () => {
    const { outcome } = await api.operate("PUT", path, { body: {} });
    const { create, update, replace, delete: deleted } = outcome?.changes ?? NO_CHANGES;
    expect(create + update + replace + deleted === 0, "a second update changes nothing");
    return [undefined, [describeChanges(outcome)]];
  });
  await step(`DELETE ${path}?dryRun=true`, async () => {
    const { outcome } = await api.operate("DELETE", `${path}?dryRun=true`);
    return [undefined, [`would be: ${describeChanges(outcome)}`]];
  });
  await step(`DELETE ${path}`, async () => {
    const { outcome, remaining } = await api.operate("DELETE", path);
    expect(remaining.length === 0, `nothing remains (${JSON.stringify(remaining)})`);
    const { items } = await api.call<{ items: unknown[] }>("GET", "/v1/projects");
    expect(items.length === 0, "the list of projects is empty");
    return [undefined, [describeChanges(outcome), "according to the servers nothing remains"]];
  });
  await step(`destroy ${PLATFORM}`, async () => {
    await api.stop();
    service = undefined;
    return [
      undefined,
      [describeChanges(succeeded(await destroy(PLATFORM, { workDir, remove: true })))],
    ];
  });
  await step("nothing is left", async () => {
    const left = await Promise.all(
      [slug, NEIGHBOUR, PLATFORM, "rdev-platform", "observability"].map((name) =>
        leftOnServers({ slug: name, organization, domain, dns, env }),
      ),
    );
    expect(left.flat().length === 0, `nothing is left (${left.flat().join(", ")})`);
    for (const workload of workloads) {
      const labels = Object.keys(await citadelLabelsOf({ env }, workload));
      expect(labels.length === 0, `the labels of ${workload.name} are removed`);
    }
    return [undefined, [`searched: ${SEARCHED_SYSTEMS.join(", ")}; the labels are removed`]];
  });
}

/** Runs one step, and prints its evidence and its duration. */
async function step<T>(title: string, work: () => Promise<readonly [T, Evidence]>): Promise<T> {
  const start = Date.now();
  const [result, evidence] = await work();
  console.log(`${styleText("green", "✔")} ${title} ${styleText("dim", since(start))}`);
  for (const line of evidence) console.log(`    ${line}`);
  return result;
}

function note(part: string, text: string): void {
  console.error(styleText("dim", `  ${since(begin)} ${part}: ${text}`));
}

function succeeded(outcome: Outcome): Outcome {
  if (outcome.result === "succeeded") return outcome;
  const lines = outcome.errors.map(({ code, message }) => (code ? `${code}: ${message}` : message));
  throw new InfraError("RDEV_ENGINE", lines.join("\n"));
}

function describeEvents(events: readonly NumberedEventView[]): string {
  const resources = events.filter(
    ({ event }) => event.event === "resourceDone" && !event.component,
  );
  return `followed through ${events.length} events, ${resources.length} resources done`;
}

function describeChanges(outcome: Pick<Outcome, "changes"> | undefined): string {
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
