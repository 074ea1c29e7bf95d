import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { verifyChain } from "../../automation/audit/verify.ts";
import { Operations } from "../../automation/operations/operations.ts";
import { operationSchema, type OperationView } from "../../automation/service/schemas/operation.ts";
import type { OperationEvent } from "../../core/operation.ts";
import { until } from "../../sandbox/process.ts";
import { runCli } from "../cli/run-cli.ts";
import { Replicas, type Version } from "../support/replicas.ts";
import { projects, succeeded } from "../support/stage.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";

const NEXT_VERSION = fileURLToPath(new URL("../support/next-version.ts", import.meta.url));
const FORMER = process.env["UPGRADE_FROM"];

/**
 * The update is from this version to the next one, which is this one with one migration more. With
 * UPGRADE_FROM it is from the checkout in that folder to this version.
 */
const [BEFORE, AFTER]: readonly [Version, Version] = FORMER
  ? [{ folder: FORMER }, {}]
  : [{}, { nodeOptions: [`--import=${NEXT_VERSION}`] }];

describe("an update of two replicas under load, and back again", function () {
  this.timeout(600_000);
  const project = projects();
  let test: TestStore;
  let replicas: Replicas;
  /** An administrator's key, and a viewer's. */
  let [key, viewer] = ["", ""];
  const submitted: string[] = [];

  before(async () => {
    test = await createTestStore({ migrated: false });
    await migrated(BEFORE);
    replicas = new Replicas({
      DATABASE_URL: test.url,
      RDEV_INFRA_CONCURRENCY: "1",
      RDEV_INFRA_RATE_LIMIT: "1000000",
    });
    for (const _ of [1, 2]) await replicas.add(BEFORE);
    [key, viewer] = [await newKey("admin", BEFORE), await newKey("viewer", BEFORE)];
  });
  after(async () => {
    await replicas.stop();
    await test.drop();
  });

  /** Runs a command of the version, which must succeed. Only a migration gets the owner's role. */
  const run = async (args: string[], version: Version, more: Record<string, string> = {}) => {
    const variables = { DATABASE_URL: test.url, ...more };
    const { code, stdout, stderr } = await runCli(args, { ...version, variables });
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };
  const migrated = (version: Version) =>
    run(["store", "migrate"], version, { DATABASE_OWNER_URL: test.ownerUrl });
  const newKey = (role: string, version: Version) =>
    run(["keys", "create", "--name", role, "--role", role], version);

  const submit = async (method: "PUT" | "POST" | "DELETE", path: string, body?: object) => {
    const answer = await replicas.call(method, path, { key, ...(body && { body }) });
    assert.equal(answer.status, 202, answer.text);
    const { id } = operationSchema.parse(JSON.parse(answer.text));
    submitted.push(id);
    return id;
  };
  const find = async (id: string): Promise<OperationView> => {
    const { text } = await replicas.call("GET", `/v1/operations/${id}`, { key });
    return operationSchema.parse(JSON.parse(text));
  };
  const running = (id: string) =>
    until(async () => assert.equal((await find(id)).state, "running"), undefined, 120_000);
  const ended = (ids: readonly string[]) =>
    until(
      async () => {
        for (const id of ids) assert.ok((await find(id)).endedAt, `${id} has not ended`);
      },
      undefined,
      400_000,
    );

  it("loses no operation, does none twice, and answers every request", async () => {
    const [shop, blog] = [await project(), await project()];
    const paths = [shop, blog].map(({ slug }) => `/v1/projects/${slug}`);
    const replayed = { key, body: { name: "Shop" }, idempotencyKey: "again" };
    const first = await replicas.call("PUT", paths[0]!, replayed);
    submitted.push(operationSchema.parse(JSON.parse(first.text)).id);
    const endLoad = replicas.load([
      { key, method: "GET", path: "/v1/projects", status: 200 },
      { key: viewer, method: "GET", path: `/v1/operations/${submitted[0]!}`, status: 200 },
      { key, method: "GET", path: "/v1/audit?limit=20", status: 200 },
      { ...replayed, method: "PUT", path: paths[0]!, status: 202 },
      { key: viewer, method: "PUT", path: paths[1]!, body: {}, status: 403 },
    ]);

    await submit("PUT", paths[1]!, { name: "Blog" });
    for (const path of paths) {
      await submit("POST", `${path}/refresh`);
      await submit("POST", `${path}/preview`, {});
    }
    for (const id of submitted.slice(0, 2)) await running(id);
    await migrated(AFTER);
    await replicas.replaceOldest(AFTER);
    await replicas.replaceOldest(AFTER);
    await ended(submitted);

    const next = await submit("PUT", paths[0]!, { sizes: { replicas: 2 } });
    for (const path of paths) await submit("POST", `${path}/refresh`);
    await running(next);
    // A rollback in the cluster runs the older version's migration Job.
    assert.equal(await migrated(BEFORE), "Nothing to migrate.");
    await replicas.replaceOldest(BEFORE);
    await replicas.replaceOldest(BEFORE);
    for (const path of paths) await submit("DELETE", path);
    await ended(submitted);

    const answers = await endLoad();
    assert.ok(answers > 500, `${answers} requests were answered`);
    await replicas.stop();
    for (const each of [shop, blog]) assert.deepEqual(await each.onServers(), []);
    await requireOnce(test, submitted);
  });
});

/** Every operation is there, ran to its end once, and made every object once. */
async function requireOnce({ store, admin }: TestStore, ids: readonly string[]): Promise<void> {
  assert.deepEqual(await admin("SELECT id FROM pgboss.job WHERE state < 'completed'"), []);
  assert.deepEqual(
    (await admin("SELECT id FROM operations ORDER BY id")).map(({ id }) => id),
    ids.toSorted(),
  );
  const operations = new Operations(store);
  const steps: string[] = [];
  for (const id of ids) {
    const operation = (await operations.find(id))!;
    succeeded(operation.outcome!);
    const events = (await operations.events(id, 0, 10_000)).map(({ event }) => event);
    const states = events.filter((event) => event.event === "state").map(({ state }) => state);
    assert.equal(states.filter((state) => state === "running").length, operation.attempts);
    assert.equal(states.filter((state) => state === "succeeded").length, 1);
    if (operation.request.kind === "preview") continue;
    steps.push(...events.flatMap(madeOrDeleted));
    const trail = await admin(`
      SELECT result, details->>'cancelled' AS cancelled FROM audit_log
      WHERE details->>'operation' = '${id}' AND action LIKE 'project.%'`);
    const count = (result: string) => trail.filter((event) => event["result"] === result).length;
    assert.deepEqual([count("started"), count("success")], [operation.attempts, 1]);
    // An attempt that a stopped replica gave back.
    const failures = trail.filter(({ result }) => result === "failure");
    assert.ok(failures.every(({ cancelled }) => cancelled === "true"));
  }
  await operations.close();
  assert.ok(steps.length > 20);
  assert.deepEqual(steps, [...new Set(steps)]);
  assert.equal((await verifyChain(store)).broken, undefined);
}

function madeOrDeleted(event: OperationEvent | { readonly event: "state" }): string[] {
  if (event.event !== "resourceDone" || !["create", "delete"].includes(event.op)) return [];
  return [`${event.op} ${event.urn}`];
}
