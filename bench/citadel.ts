/**
 * How quick the stand-in for Citadel is: events a second that it takes over HTTP, and the plan's
 * queries at 1 million events. `node bench/citadel.ts [--events 100000] [--rounds 20]`.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Agent, request } from "undici";
import { type Citadel, startCitadel } from "../sandbox/citadel/server.ts";
import { machine } from "./machine.ts";

const BATCH = 100; // what Citadel's own client sends at most
const SENDERS = 2; // at once
const PROJECTS = 9; // beside the platform's environment
const TENTHS = 10;
const DAY_MS = 86_400_000;

/** The plan's, word for word, with the range that it gives or Citadel's default. */
const QUERIES: readonly {
  q: string;
  scope: "platform" | "project" | "group" | "all";
  range: string;
}[] = [
  { q: "level:error", scope: "platform", range: "1h" },
  { q: "project_id:my-project", scope: "platform", range: "24h" },
  { q: "component:build level:error", scope: "platform", range: "24h" },
  { q: "component:saga result:failure", scope: "platform", range: "24h" },
  { q: "duration_ms:>5000 component:http", scope: "platform", range: "24h" },
  { q: "action:project.create", scope: "platform", range: "7d" },
  { q: "level:error", scope: "project", range: "1h" },
  { q: "level:error", scope: "group", range: "1h" },
  { q: "project_id:my-project", scope: "all", range: "24h" },
];

const COMPONENTS = ["http", "http", "http", "build", "saga", "audit"] as const;
const ACTIONS = ["project.create", "project.delete", "project.deploy"] as const;

const pool = new Agent({ connections: SENDERS });

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "20" },
  },
});
const folder = await mkdtemp(join(tmpdir(), "bench-citadel-"));
const file = join(folder, "citadel.sqlite");
const citadel = await startCitadel({ organization: "orchard9", file });
try {
  console.log(machine());
  const tenants = await makeTenants(citadel);
  await ingest(citadel, tenants, Number(values.events));
  const { size } = await stat(file);
  console.log(`stored in ${mebibytes(size)}, memory ${mebibytes(process.memoryUsage().rss)}`);
  await queries(citadel, tenants, Number(values.rounds));
} finally {
  await citadel.close();
  await pool.close();
  await rm(folder, { recursive: true, force: true });
}

async function makeTenants({ url, apiKey }: Citadel): Promise<string[]> {
  const ids: string[] = [];
  const call = async (method: "POST" | "PUT", path: string, body?: unknown) => {
    const answer = await request(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      dispatcher: pool,
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${path}: ${answer.statusCode} ${text}`);
    return text;
  };
  await call("PUT", "/tenant-groups/projects");
  for (let n = 0; n <= PROJECTS; n += 1) {
    const slug = n === 0 ? "rdev-platform" : `project-${n}`;
    const body = { slug, name: slug, organization: "orchard9" };
    const { id } = JSON.parse(await call("POST", "/tenants", body)) as { id: string };
    if (n > 0) await call("PUT", `/tenant-groups/projects/tenants/${id}`);
    ids.push(id);
  }
  return ids;
}

/** Half of the events are the platform's, and all are of the last 24 hours, in order. */
async function ingest(server: Citadel, tenants: readonly string[], count: number): Promise<void> {
  const [platform = "", ...projects] = tenants;
  const start = Date.now() - DAY_MS;
  const latencies: number[] = [];
  const marks: number[] = []; // when each tenth was there: does it slow down with size?
  let sent = 0;
  let taken = 0;
  const send = async () => {
    while (sent < count) {
      const from = sent;
      sent += BATCH;
      const turn = from / BATCH;
      const tenant = turn % 2 === 0 ? platform : (projects[turn % projects.length] ?? platform);
      const batch = Array.from({ length: BATCH }, (_, n) => event(start, from + n, count));
      const body = JSON.stringify(batch);
      const began = performance.now();
      const answer = await request(`${server.url}/api/v1/ingest`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${server.agentKey}`,
          "x-tenant-id": tenant,
          "content-type": "application/json",
        },
        body,
        dispatcher: pool,
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 202) throw new Error(`ingest: ${answer.statusCode} ${text}`);
      latencies.push(performance.now() - began);
      taken += BATCH;
      if (taken >= ((marks.length + 1) * count) / TENTHS) marks.push(performance.now());
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: SENDERS }, send));
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `ingest: ${sent} events in ${seconds.toFixed(1)} s, ${Math.round(sent / seconds)} events/s; ` +
      `a batch of ${BATCH}: p50 ${ms(latencies, 0.5)}, p99 ${ms(latencies, 0.99)}`,
  );
  const rates = marks.map((mark, n) => {
    const tenth = (mark - (marks[n - 1] ?? began)) / 1000;
    return Math.round(count / TENTHS / tenth);
  });
  console.log(`events/s of each tenth: ${rates.join(" ")}`);
}

function event(start: number, n: number, count: number) {
  const component = COMPONENTS[n % COMPONENTS.length];
  // Multiplied by a large prime, so that no two properties go in step.
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
      trace_id: randomUUID(),
    },
  };
}

async function queries(server: Citadel, tenants: readonly string[], rounds: number): Promise<void> {
  const [platform = "", project = ""] = tenants;
  const scopes = {
    platform: { "x-tenant-id": platform },
    project: { "x-tenant-id": project },
    group: { "x-tenant-group": "projects" },
    all: {},
  };
  const every: number[] = [];
  for (const { q, scope, range } of QUERIES) {
    const latencies: number[] = [];
    let total = 0;
    for (let round = 0; round < rounds; round += 1) {
      const began = performance.now();
      const answer = await request(`${server.url}/api/v1/query`, {
        query: { q, range, limit: 100 },
        headers: { authorization: `Bearer ${server.apiKey}`, ...scopes[scope] },
        dispatcher: pool,
      });
      const body = (await answer.body.json()) as { total: number };
      latencies.push(performance.now() - began);
      ({ total } = body);
    }
    every.push(...latencies);
    const figures = `p50 ${ms(latencies, 0.5)}, p99 ${ms(latencies, 0.99)}`;
    console.log(`query ${`${q} (${scope}, ${range})`.padEnd(58)} ${figures}, ${total} found`);
  }
  console.log(`all queries: p50 ${ms(every, 0.5)}, p99 ${ms(every, 0.99)}`);
}

function ms(all: readonly number[], quantile: number): string {
  const sorted = [...all].sort((one, other) => one - other);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * quantile));
  return `${(sorted[at] ?? NaN).toFixed(1)} ms`;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
