/**
 * Measures each request of the lists of the fleet, page by page, over projects that all have drift and ten
 * operations, and are all in one rollout: `npm run bench:fleet` or
 * `node bench/fleet-lists.ts [--records 1000] [--runs 5] [--no-bounds]`. The service and its database are on
 * this machine. The first run is not counted, because the service compiles its code.
 */
import { parseArgs } from "node:util";
import { auditLog } from "../automation/audit/log.ts";
import { DriftRecords } from "../automation/drift/table.ts";
import { Operations } from "../automation/operations/operations.ts";
import { Rollouts } from "../automation/rollouts/rollouts.ts";
import { migrate } from "../automation/store/migrate.ts";
import { ProjectRecords } from "../automation/store/project-records.ts";
import { Store } from "../automation/store/store.ts";
import { rolloutRequest } from "../core/rollout.ts";
import { PLATFORM } from "../sandbox/platform.ts";
import { embeddedStore } from "../tests/support/embedded-store.ts";
import { bearer, fakeService } from "../tests/support/fake-service.ts";
import { Bounds } from "./bounds.ts";
import { machine, milliseconds } from "./machine.ts";

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "1000" },
    runs: { type: "string", default: "5" },
    bounds: { type: "boolean", default: true },
  },
  allowNegative: true,
});
const bounds = new Bounds(values.bounds, { "ms of the slowest list": { atMost: 100 } });
const VERSION = "0.1.0+new";
const ROLLOUT = "0193a8a1-7d5c-7c44-9c41-0c8f1d3f2b11";

const LISTS = [
  "/v1/projects?limit=200",
  "/v1/projects?limit=200&outdated=true",
  "/v1/projects?limit=200&search=record",
  "/v1/drift?limit=200",
  "/v1/drift/runs",
  "/v1/operations?limit=200",
  "/v1/rollouts?limit=200",
  `/v1/rollouts/${ROLLOUT}/projects`,
  `/v1/rollouts/${ROLLOUT}/report`,
];

const database = await embeddedStore();
await migrate(database);
const store = new Store({ url: database.url });
const operations = new Operations(store);
const rollouts = new Rollouts(store, {
  platform: PLATFORM,
  version: VERSION,
  audit: auditLog(store),
});
const service = await fakeService({
  operations,
  rollouts,
  projects: new ProjectRecords(store),
  drift: new DriftRecords(store),
});
try {
  console.log(machine());
  await addRecords(Number(values.records));
  const headers = bearer(service.key("viewer"));
  const times = new Map<string, number[]>(LISTS.map((list) => [list, []]));
  for (let run = 0; run <= Number(values.runs); run += 1) {
    for (const list of LISTS) {
      const pages = await timesOf(list, headers);
      if (run > 0) times.get(list)?.push(...pages);
    }
  }
  for (const [list, all] of times) {
    console.log(
      `${list}: median ${milliseconds(all, 0.5)}, at most ${milliseconds(all, 1)} (${all.length} requests)`,
    );
  }
  bounds.check("ms of the slowest list", Math.max(...[...times.values()].flat()));
} finally {
  await service.app.close();
  await rollouts.close();
  await operations.close();
  await store.close();
  await database.close();
}

/** In ms, for each page of a list. */
async function timesOf(list: string, headers: Record<string, string>): Promise<number[]> {
  const times: number[] = [];
  for (let cursor: string | undefined = ""; cursor !== undefined;) {
    const url: string = cursor === "" ? list : `${list}&cursor=${encodeURIComponent(cursor)}`;
    const begin = performance.now();
    const answer = await service.app.inject({ method: "GET", url, headers });
    times.push(performance.now() - begin);
    if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.body}`);
    cursor = answer.json<{ next?: string }>().next;
  }
  return times;
}

async function addRecords(count: number): Promise<void> {
  const change = {
    ...{ op: "update", urn: "urn:pulumi:s::p::gitea:Repository::settings", name: "settings" },
    ...{ type: "gitea:Repository", moreProperties: 0, by: [{ manager: "kubectl-edit" }] },
    properties: Array.from({ length: 10 }, (_, n) => ({
      ...{ path: `spec.${n}`, kind: "update", replaces: false, old: "a".repeat(50), new: "b" },
    })),
    since: "2026-01-01T03:04:05.678Z",
  };
  const plan = {
    ...{ fingerprint: "a", unchanged: 20, findings: [] },
    changes: [{ ...change, by: undefined, since: undefined }],
  };
  const text = (value: unknown) => `'${JSON.stringify(value)}'`;
  for (const statement of [
    `INSERT INTO projects (slug, platform, name, settings, program_version)
     SELECT 'record-' || n, '${PLATFORM}', 'Record ' || n, '{"sizes": {"replicas": 2}}', '0.1.0+old'
     FROM generate_series(1, ${count}) n`,
    `INSERT INTO drift (slug, checked_at, changes, fixable_by)
     SELECT slug, now(), ${text([change, change, change])}, 'nothing' FROM projects`,
    `INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor, started_at, ended_at)
     SELECT gen_random_uuid(), platform, slug, 'refresh', '{"kind": "refresh"}', '{}', 'succeeded', 'ada',
            now(), now()
     FROM projects, generate_series(1, 10)`,
    `INSERT INTO rollouts (id, platform, version, request, state, actor, actor_id, plan)
     VALUES ('${ROLLOUT}', '${PLATFORM}', '${VERSION}', ${text(rolloutRequest.parse({}))}, 'planned', 'ada',
             'key:1', 'the-plan')`,
    `INSERT INTO rollout_projects (rollout_id, slug, wave, state, fingerprint, plan)
     SELECT '${ROLLOUT}', slug, 1, 'planned', slug, ${text(plan)} FROM projects`,
    "ANALYZE",
  ]) {
    await database.admin(statement);
  }
}
