/**
 * Measures the stand-in for Citadel: events a second over HTTP, and the plan's nine queries.
 * `node bench/citadel.ts [--events 100000] [--rounds 20]`.
 */
import { parseArgs } from "node:util";
import { Citadel } from "../providers/citadel/client.ts";
import type { CitadelEvent, Scope } from "../providers/citadel/port.ts";
import { startCitadel } from "../sandbox/citadel/server.ts";
import { PLAN_QUERIES } from "../tests/contract/plan.ts";
import { machine, milliseconds } from "./machine.ts";

const BATCH = 100; // the largest batch of Citadel's own client
const PROJECTS = 9; // beside the platform's environment
const DAY_MS = 86_400_000;
const COMPONENTS = ["http", "http", "http", "build", "saga", "audit"] as const;
const ACTIONS = ["project.create", "project.delete", "project.deploy"] as const;

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "100000" },
    rounds: { type: "string", default: "20" },
  },
});
const organization = "orchard9";
const server = await startCitadel({ organization });
const citadel = new Citadel(server);
try {
  console.log(machine());
  const tenants = await createTenants();
  await ingest(tenants, Number(values.events));
  await query(tenants, Number(values.rounds));
} finally {
  await server.close();
}

async function createTenants(): Promise<string[]> {
  const ids: string[] = [];
  await citadel.groups.put("projects");
  for (let n = 0; n <= PROJECTS; n += 1) {
    const slug = n === 0 ? "rdev-platform" : `project-${n}`;
    const tenant = { slug, name: slug, organization, metadata: {} };
    const { id } = await citadel.environments.create(tenant);
    if (n > 0) await citadel.groups.add("projects", id);
    ids.push(id);
  }
  return ids;
}

/** Half of the events belong to the platform. They are spread over the last 24 hours. */
async function ingest([platform = "", ...projects]: string[], count: number): Promise<void> {
  const start = Date.now() - DAY_MS;
  const began = performance.now();
  for (let sent = 0; sent < count; sent += BATCH) {
    const turn = sent / BATCH;
    const tenant = turn % 2 === 0 ? platform : (projects[turn % projects.length] ?? platform);
    const batch = Array.from({ length: BATCH }, (_, n) => event(sent + n, start, count));
    await citadel.ingest(tenant, batch);
  }
  const rate = Math.round(count / ((performance.now() - began) / 1000));
  const memory = Math.round(process.memoryUsage().rss / 2 ** 20);
  console.log(`ingest: ${count} events, ${rate} events/s; memory ${memory} MiB`);
}

function event(n: number, start: number, count: number): CitadelEvent {
  const component = COMPONENTS[n % COMPONENTS.length] ?? "http";
  // Multiplied by a large prime, so that the properties do not correlate.
  const dice = (n * 2_654_435_761) % 1000;
  return {
    message: `request ${n} of ${component} was answered`,
    level: dice < 20 ? "error" : dice < 70 ? "warn" : "info",
    timestamp: new Date(start + Math.floor((n / count) * DAY_MS)).toISOString(),
    service: "rdev-api",
    environment: "staging",
    target: component,
    fields: {
      component,
      project_id: n % 977 === 0 ? "my-project" : `project-${dice % 200}`,
      duration_ms: (n * 7919) % 5100,
      result: dice % 40 === 0 ? "failure" : "success",
      ...(component === "audit" && { action: ACTIONS[dice % 3] }),
    },
  };
}

async function query([platform = "", project = ""]: string[], rounds: number): Promise<void> {
  const scopes: Record<(typeof PLAN_QUERIES)[number]["scope"], Scope> = {
    platform: { tenant: platform },
    project: { tenant: project },
    group: { group: "projects" },
    organization: "organization",
  };
  for (const { cpl, scope, last = "24h" } of PLAN_QUERIES) {
    const latencies: number[] = [];
    let found = 0;
    for (let round = 0; round < rounds; round += 1) {
      const began = performance.now();
      found = (await citadel.query(scopes[scope], cpl, { range: last })).total;
      latencies.push(performance.now() - began);
    }
    const times = `p50 ${milliseconds(latencies, 0.5)}, p99 ${milliseconds(latencies, 0.99)}`;
    console.log(`query ${`${cpl} (${scope}, ${last})`.padEnd(58)} ${times}, ${found} found`);
  }
}
