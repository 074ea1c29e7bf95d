import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Job } from "../../automation/worker/messages.ts";
import { runJob } from "../../automation/worker/run-job.ts";
import { databaseName } from "../../core/slug.ts";
import program from "../../index.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { applicationEnvironment } from "../../sandbox/proofs/project.ts";
import { refusal } from "../../sandbox/proofs/proofs.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { runCli } from "../cli/run-cli.ts";
import { madeByHand } from "../support/by-hand.ts";
import { HandMadeProject, IMAGE, redis } from "../support/hand-made-project.ts";
import { testOwner } from "../support/owner.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { variable } from "../support/variables.ts";
import { type Project, projects, succeeded, unchanged } from "../support/stage.ts";

describe("rdev-infra adopt of a project that scripts made", function () {
  this.timeout(400_000);
  const project = projects();
  const left: HandMadeProject[] = [];
  afterEach(async () => {
    for (const made of left.splice(0)) await made.remove();
  });

  async function madeProject(): Promise<[Project, HandMadeProject]> {
    const one = await project();
    const made = new HandMadeProject(one);
    left.push(made);
    await made.make();
    return [one, made];
  }

  const adopt = ({ stack, workDir }: Project, ...options: string[]) =>
    runCli(["adopt", stack, "--work-dir", workDir, ...options]);

  it("shows everything and changes nothing with --dry-run", async () => {
    const [one, made] = await madeProject();
    const before = await made.look();
    const ran = await adopt(one, "--dry-run");
    assert.equal(ran.stderr, "");
    assert.equal(ran.code, 0);
    assert.deepEqual(await made.look(), before);
    assert.equal(existsSync(join(one.workDir, `Pulumi.${one.stack}.yaml`)), false);
    for (const text of [
      `repository ${one.place.organization}/${one.slug} (no mark)`,
      `description "mine" → "${one.slug}"`,
      "secret kube_token",
      `record ${one.slug}.${one.place.domain} A 198.51.100.7 (no mark)`,
      `path ${one.slug} with 1 tags`,
      `role ${databaseName(one.slug)}`,
      `database ${databaseName(one.slug)}`,
      `user ${one.slug}`,
      `namespace ${one.slug}`,
      `the image ${IMAGE} stays`,
      `environment ${await made.objects.tenant.id()}`,
    ]) {
      assert.ok(ran.stdout.includes(text), `${text} is not in\n${ran.stdout}`);
    }
  });

  it("keeps what it has, comes up around it, stays unchanged, and is then its own to destroy", async () => {
    const [one, made] = await madeProject();
    const [tenant, commits] = [await made.objects.tenant.id(), await made.commits()];
    const repository = (await made.objects.repository.look()).id;
    const ci = (await made.objects.ci.look()).id;
    const images = await made.objects.images.look();
    const uid = await made.objects.namespace.look();

    const ran = await adopt(one, "--yes", "--config", `name=${one.name}`);
    assert.equal(ran.stderr, "");
    assert.equal(ran.code, 0, ran.stdout);

    assert.equal((await made.objects.repository.look()).id, repository);
    assert.match(
      JSON.stringify(await made.objects.repository.look()),
      /"topics":\["managed.*"shop"/,
    );
    assert.deepEqual(await made.commits(), commits);
    assert.equal((await made.objects.ci.look()).id, ci);
    assert.match(JSON.stringify(await made.ciSecrets()), /own_token/);
    assert.deepEqual(await made.objects.images.look(), images);
    assert.equal(await made.objects.tenant.id(), tenant);
    assert.deepEqual(await made.logLines(), ["a line from before"]);
    assert.equal(await redis("GET", `${one.slug}:kept`), "yes");
    assert.equal(await made.objects.namespace.look(), uid);
    const [container] = (await made.deployment()).spec?.template.spec?.containers ?? [];
    assert.equal(container?.image, IMAGE);
    const url = (await applicationEnvironment(one.place))["DATABASE_URL"] ?? "";
    assert.deepEqual(await queryOnce(url, "SELECT message FROM kept"), [{ message: "hello" }]);
    assert.match(
      await refusal(queryOnce(made.databaseUrl, "SELECT 1"), "a login"),
      /password authentication failed/,
    );

    unchanged(await one.preview());
    unchanged(await one.refresh());
    const again = await adopt(one, "--yes");
    assert.equal(again.code, 0, again.stderr);
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });

  it("continues after an interruption, in the middle of marking or of the up", async () => {
    const [one, made] = await madeProject();
    const [tenant, commits] = [await made.objects.tenant.id(), await made.commits()];
    const { ADOPTIONS } = await import("../../automation/adopt/look-up.ts");
    const { adoptedProject } = await import("../../automation/adopt/adopt.ts");
    const asked = await adoptedProject(one.stack, { workDir: one.workDir });
    const { signal } = new AbortController();
    for (const name of ["gitea", "postgres", "kubernetes"] as const) {
      await ADOPTIONS[name]?.mark(asked, signal);
    }
    await ADOPTIONS.kubernetes?.prepare?.(asked, signal);
    assert.equal((await made.deployment()).spec?.template.spec?.containers[0]?.image, IMAGE);
    assert.equal(await made.runningPods(), 2, "the old pods go on running");

    let isStopped = false;
    const stopped = await runCli(["adopt", one.stack, "--work-dir", one.workDir, "--yes"], {
      onOutput: (stdout, child) => {
        if (isStopped || !stdout.includes("created")) return;
        isStopped = child.kill("SIGINT");
      },
    });
    assert.equal(stopped.code, 130, stopped.stdout);
    const { code, stderr } = await adopt(one, "--yes");
    assert.equal(stderr, "");
    assert.equal(code, 0);
    assert.equal(await made.objects.tenant.id(), tenant);
    assert.deepEqual(await made.commits(), commits);
    assert.equal((await made.deployment()).spec?.template.spec?.containers[0]?.image, IMAGE);
    unchanged(await one.preview());
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });

  it("names everything that a project could not keep, at once, and marks nothing", async () => {
    const [one, made] = await madeProject();
    const role = databaseName(one.slug);
    await sql(`ALTER ROLE ${role} CREATEDB`);
    await sql(`GRANT pg_read_all_data TO ${role}`);
    await made.keepInVolume();
    await made.route("/admin");
    const before = await made.look();
    const { code, stderr } = await adopt(one, "--yes");
    assert.equal(code, 1);
    assert.match(stderr, /^RDEV_ADOPT: /);
    for (const reason of [
      `role ${role} may create databases, which no project may have. Run: ALTER ROLE ${role} NOCREATEDB`,
      `role ${role} is a member of pg_read_all_data`,
      `Deployment ${one.slug} would lose the volume data`,
      `Deployment ${one.slug} would lose the environment variable MODE`,
      `Ingress ${one.slug} would lose ${one.slug}.${one.place.domain}/admin`,
    ]) {
      assert.ok(stderr.includes(reason), `${reason}\n${stderr}`);
    }
    assert.deepEqual(await made.look(), before);
  });

  it("takes every project of a CSV file, after all bad rows and all reasons were named", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rdev-adopt-"));
    try {
      const file = join(folder, "projects.csv");
      const [[one, made], [two, other]] = await Promise.all([madeProject(), madeProject()]);
      const many = async (rows: string[]) => {
        await writeFile(file, ["slug,name,retainData", ...rows].join("\n"));
        const args = [PLATFORM, "--from", file, "--work-dir", one.workDir, "--yes"];
        return runCli(["adopt", ...args]);
      };
      const good = [`${one.slug},"One, first",true`, `${two.slug},Two,`];
      const before = [await made.look(), await other.look()];
      const bad = await many([...good, "Bad_Slug,,", "my-app,,perhaps"]);
      assert.equal(bad.code, 2);
      assert.match(bad.stderr, /line 4: the slug "Bad_Slug"[^]*line 5: rdev:retainData/);
      const none = uniqueSlug();
      const missing = await many([...good, `${none},,`]);
      assert.equal(missing.code, 1);
      assert.match(missing.stderr, new RegExp(`Nothing exists under the name of .*${none}`));
      assert.deepEqual([await made.look(), await other.look()], before);

      const { code, stdout, stderr } = await many(good);
      assert.equal(stderr, "");
      assert.equal(code, 0);
      for (const { stack } of [one, two]) assert.match(stdout, new RegExp(`${stack}  adopted  `));
      assert.equal((await one.refresh()).outputs["name"], "One, first");
      for (const each of [one, two]) unchanged(await each.preview());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("is shown by a worker's preview, and done by its up", async () => {
    const [one, made] = await madeProject();
    const before = await made.look();
    const texts: string[] = [];
    const run = async (task: Job["task"]) => {
      const job = { platform: PLATFORM, slug: one.slug, settings: {}, formerly: {}, task };
      const { outcome } = await runJob(job, {
        workDir: one.workDir,
        program,
        signal: new AbortController().signal,
        onEvent: (event) => void (event.event === "diagnostic" && texts.push(event.message)),
        onStart: () => undefined,
        mayBreakLocks: () => Promise.resolve(false),
        onFact: () => Promise.resolve(),
      });
      return outcome;
    };
    succeeded(await run({ kind: "preview", of: "up", isNewProject: true, adopt: true }));
    assert.ok(
      texts.some((text) => text.startsWith(`postgres: role ${databaseName(one.slug)} (no`)),
    );
    assert.deepEqual(await made.look(), before);
    succeeded(await run({ kind: "up", needsEmpty: false, adopt: true }));
    unchanged(await one.preview());
  });

  it("refuses all objects with another owner's mark at once, and marks nothing", async () => {
    for (const whose of [{ project: "other-project" }, { platform: "prod" }]) {
      const one = await project();
      const owner = { ...testOwner(one.slug), ...whose };
      const all = Object.values(madeByHand(one, owner));
      try {
        for (const { make } of all) await make();
        const look = () => Promise.all(all.map((each) => each.look()));
        const before = await look();
        const { code, stderr } = await adopt(one, "--yes");
        assert.equal(code, 1);
        assert.match(stderr, /^RDEV_NOT_OURS: /);
        for (const text of [
          "repository",
          "record",
          "path",
          "role",
          "user",
          "namespace",
          "environ",
        ]) {
          assert.match(stderr, new RegExp(`The \\w+ ${text}.* carries the mark of another`));
        }
        assert.deepEqual(await look(), before);
      } finally {
        for (const { remove } of all.reverse()) await remove();
      }
    }
  });

  it("refuses a name under which nothing exists", async () => {
    const { code, stderr } = await adopt(await project(), "--yes");
    assert.equal(code, 1);
    assert.match(stderr, /^RDEV_NOT_FOUND: /);
  });
});

function sql(statement: string): Promise<unknown[]> {
  return queryOnce(variable("POSTGRES_ADMIN_URL"), statement);
}
