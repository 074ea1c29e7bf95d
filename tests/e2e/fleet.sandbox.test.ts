import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cp, link, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { KubeConfig, KubernetesObjectApi } from "@kubernetes/client-node";
import which from "which";
import { z } from "zod";
import { Keys } from "../../automation/keys/keys.ts";
import { runGit } from "../../providers/git/git.ts";
import { until } from "../../sandbox/process.ts";
import { runCli } from "../cli/run-cli.ts";
import { commandLines, shellBlocks } from "../support/document.ts";
import { adminToken, GiteaPeople, type Person } from "../support/gitea-people.ts";
import { PreviewedRepository } from "../support/previewed-repository.ts";
import { type ServiceProcess, startService } from "../support/service-process.ts";
import { platformStage } from "../support/stage.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { variable } from "../support/variables.ts";

const run = promisify(execFile);
const TREE = join(import.meta.dirname, "../..");
const SECRET = `planted-forge-secret-${randomBytes(16).toString("hex")}`;
/** In ms: `npm ci` and the previews of all stacks take longest. */
const PATIENCE = 600_000;
/** What the pull request changes in each project. */
const CHANGED = "components/deployment.ts";
const [BEFORE, AFTER] = ["revisionHistoryLimit: 3", "revisionHistoryLimit: 4"];

describe("a change of the program, from the pull request to the fleet", function () {
  this.timeout(1_500_000);
  const people = new GiteaPeople();
  const slugs = Array.from({ length: 3 }, uniqueSlug).toSorted();
  const [canary = ""] = slugs;
  let [bot, ada, author]: Person[] = [];
  let repository: PreviewedRepository;
  let folder: string;
  let database: TestStore;
  let service: ServiceProcess | undefined;
  /** The API keys of the people, by name. */
  const keys = new Map<string, string>();
  const cluster = new KubeConfig();
  let objects: KubernetesObjectApi;

  before(async () => {
    await platformStage();
    cluster.loadFromDefault();
    objects = KubernetesObjectApi.makeApiClient(cluster);
    folder = await mkdtemp(join(tmpdir(), "rdev-fleet-"));
    database = await createTestStore();
    for (const [name, role] of [
      ["ada", "operator"],
      ["bob", "approver"],
      ["root", "admin"],
    ] as const) {
      const { text } = await new Keys(database.store).create({ name, role }, "the test");
      keys.set(name, text);
    }
    const scopes = ["write:repository", "write:issue"];
    bot = await people.add("bot", ...scopes);
    ada = await people.add("ada", ...scopes);
    author = await people.add("author", ...scopes);
    repository = await PreviewedRepository.create({
      bot,
      others: [
        [ada, "write"],
        [author, "write"],
      ],
    });
    await publishProgram(join(folder, "source"), { url: repository.cloneUrl, token: adminToken() });
    await installEngine(join(folder, "engine"));
    const previews = { url: variable("GITEA_URL"), repository: repository.fullName };
    const settings = JSON.stringify({ forge: "gitea", ...previews });
    await writeFile(join(folder, "previews.yaml"), settings);
    service = await serve(TREE);
    await repository.addWebhook(service.url, SECRET);
    await Promise.all(slugs.map((slug) => as("root", "projects", "create", slug, "--slug", slug)));
  });
  after(async () => {
    await Promise.all(slugs.map((slug) => as("root", "projects", "destroy", slug, "--yes")));
    await service?.stop();
    await database.drop();
    await repository.remove();
    await people.remove();
    await rm(folder, { recursive: true, force: true });
  });

  /** The service of a checkout of the program, always at the same address. */
  const serve = (checkout: string) =>
    startService({
      folder: checkout,
      variables: {
        DATABASE_URL: database.url,
        HOME: folder,
        PATH: `${join(folder, "engine")}:${variable("PATH")}`,
        RDEV_INFRA_LISTEN: service ? new URL(service.url).host : "127.0.0.1:0",
        RDEV_INFRA_OWN_APPROVAL: "false",
        RDEV_INFRA_PREVIEWS_FILE: join(folder, "previews.yaml"),
        RDEV_INFRA_FORGE_SECRET: SECRET,
        GITEA_COMMENT_TOKEN: bot!.token,
      },
    });
  const command = (person: string, args: readonly string[]) =>
    runCli(args, {
      variables: { RDEV_INFRA_URL: service?.url, RDEV_INFRA_KEY: keys.get(person) },
    });
  /** Runs the command as a person, and returns what it prints. Fails unless it succeeds. */
  const as = async (person: string, ...args: string[]) => {
    const { code, stdout, stderr } = await command(person, args);
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  };
  const answer = async (number: number, pattern: RegExp) => {
    let found: RegExpExecArray | null = null;
    await until(
      async () => {
        const all = (await repository.answers(number)).join("\n");
        found = pattern.exec(all);
        assert.ok(found, all);
      },
      undefined,
      PATIENCE,
    );
    return found!;
  };
  const limits = async () =>
    Object.fromEntries(
      await Promise.all(
        slugs.map(async (slug) => {
          const metadata = { name: slug, namespace: slug };
          const found = await objects.read({ apiVersion: "apps/v1", kind: "Deployment", metadata });
          const { spec } = deployment.parse(found);
          return [slug, spec.revisionHistoryLimit] as const;
        }),
      ),
    );

  it("is previewed, merged, stopped by its canary, mended and rolled out, as docs/fleet.md shows", async () => {
    const [plan = "", failed = "", again = "", audit = ""] = shellBlocks(
      "docs/fleet.md",
      "From a pull request to the fleet",
    );
    // A pull request, which the service previews once somebody has approved it.
    const changed = (await readFile(join(TREE, CHANGED), "utf8")).replace(BEFORE, AFTER);
    const file = `/contents/${CHANGED}`;
    const { sha } = await repository.call<{ sha: string }>("GET", file, author!.token);
    await repository.call("PUT", file, author!.token, {
      ...{ sha, branch: "main", new_branch: "topic", message: "Keep one more revision" },
      content: Buffer.from(changed).toString("base64"),
    });
    type Pull = { number: number; head: { sha: string } };
    const { number, head } = await repository.call<Pull>("POST", "/pulls", author!.token, {
      ...{ title: "Keep one more revision", head: "topic", base: "main" },
    });
    await repository.call("POST", `/pulls/${number}/reviews`, ada!.token, {
      ...{ event: "APPROVED", body: "looks good", commit_id: head.sha },
    });
    await answer(number, /spec\.revisionHistoryLimit/);
    const status = `/commits/${head.sha}/status`;
    const { state } = await repository.call<{ state: string }>("GET", status, bot!.token);
    assert.equal(state, "success");

    // It is merged, and waits for the service of its version, which plans the rollout.
    const merge = { Do: "merge" };
    await GiteaPeople.merge(`/repos/${repository.fullName}`, number, ada!.token, merge);
    await repository.say(number, ada!, "/rollout");
    const [, version] = await answer(number, /waits until the service has the version `(\S+?)`/);
    const waiting = await as("root", "rollout", "requests", "list", "--state", "waiting");
    assert.ok(
      waiting.includes(`#${number} at `) && waiting.includes(`${version}: waiting`),
      waiting,
    );
    await service?.stop();
    service = await serve(await checkedOut(join(folder, "merged")));
    const [, id = ""] = await answer(number, /rdev-infra rollout approve (\S+)/);
    const own = await as("root", "rollout", "show", id, "--json");
    assert.equal(z.object({ version: z.string() }).parse(JSON.parse(own)).version, version);
    assert.deepEqual(Object.values(await limits()), [3, 3, 3]);

    // The canary fails, so nothing else begins.
    const words = { shop: canary, placeholder: id };
    await until(
      async () =>
        assert.match(await as("ada", "rollout", "list", "--state", "planned"), RegExp(id)),
      undefined,
      PATIENCE,
    );
    const policy = await forbidUpdates(objects, canary);
    const [listed, approved, followed] = await document(plan, words, {
      approve: "bob",
      others: "ada",
    });
    assert.deepEqual([listed?.code, approved?.code], [0, 0], approved?.stderr);
    for (const slug of slugs) assert.ok(listed?.stdout.includes(slug));
    assert.notEqual(followed?.code, 0, "it is stopped");
    const [shown, operations] = await document(failed, words, { others: "ada" });
    assert.match(shown?.stdout ?? "", /stopped/);
    assert.match(shown?.stdout ?? "", /no change today/);
    assert.match(operations?.stdout ?? "", /failed/);
    assert.deepEqual(Object.values(await limits()), [3, 3, 3]);

    // The cause is mended, and a second rollout mends the canary first.
    await policy.remove();
    const quick = (call: string[]) => (call[1] === "start" ? [...call, "--pause", "0"] : call);
    const started = await document(again, words, { approve: "bob", others: "ada" }, quick);
    assert.deepEqual(
      started.map(({ code }) => code),
      [0, 0, 0],
      started.map(({ stderr }) => stderr).join("\n"),
    );
    assert.deepEqual(Object.values(await limits()), [4, 4, 4]);

    // The audit trail has it all.
    const trail = await runCli(commandLines(audit)[0]?.concat("--json") ?? [], {
      variables: { DATABASE_URL: database.url },
    });
    const events = trail.stdout
      .trim()
      .split("\n")
      .map((line) => event.parse(JSON.parse(line)));
    const said = events
      .filter(({ result }) => result !== "started")
      .map(({ action, actor, result }) => `${action} by ${actor}: ${result}`);
    let at = -1;
    for (const expected of [
      `preview.run by ${ada!.name}: success`,
      `rollout.request by user:${ada!.name}: success`,
      `rollout.start by user:${ada!.name}: success`,
      "rollout.approve by bob: success",
      `project.update by user:${ada!.name}: failure`,
      "rollout.start by ada: success",
      "rollout.approve by bob: success",
      "project.update by ada: success",
    ]) {
      const next = said.indexOf(expected, at + 1);
      assert.ok(next > at, `${expected} is missing after ${said[at]}: ${said.join("\n")}`);
      at = next;
    }
  });

  /**
   * Runs the commands of a block, with the words in the place of those in the document. A rollout that a
   * command starts is the one of the later commands.
   */
  async function document(
    block: string,
    words: Record<string, string>,
    who: { readonly approve?: string; readonly others: string },
    change: (call: string[]) => string[] = (call) => call,
  ) {
    const results = [];
    const current = { ...words };
    for (const call of commandLines(block)) {
      const args = change(call.map((word) => current[word] ?? word));
      const isApproval = args[1] === "approve";
      if (isApproval) args.push("--yes");
      const result = await command((isApproval && who.approve) || who.others, args);
      const [, started] = /rollout approve (\S+)/.exec(result.stdout) ?? [];
      if (started !== undefined) current["placeholder"] = started;
      results.push(result);
    }
    return results;
  }

  /** The merged commit with the packages of this tree. */
  async function checkedOut(target: string): Promise<string> {
    await mkdir(target);
    const url = repository.cloneUrl;
    const remote = { url, token: adminToken() };
    await runGit(target, remote, ["clone", "--quiet", "--depth", "1", url, "."]);
    await run("cp", ["-al", join(TREE, "node_modules"), target]);
    return target;
  }
});

const deployment = z.object({ spec: z.object({ revisionHistoryLimit: z.int() }) });
const event = z.object({ action: z.string(), actor: z.string(), result: z.string() });

/** Pushes this tree's program as the first commit of a repository. */
async function publishProgram(folder: string, remote: { url: string; token: string }) {
  const { stdout } = await run("git", ["ls-files", "-z"], { cwd: TREE, maxBuffer: 2 ** 26 });
  for (const file of stdout.split("\0").filter((name) => name !== "")) {
    await cp(join(TREE, file), join(folder, file), { verbatimSymlinks: true });
  }
  const git = (...args: string[]) => runGit(folder, remote, args);
  await git("init", "--quiet", "--initial-branch", "main");
  await git("add", "--all", "--force");
  const who = ["-c", "user.name=test", "-c", "user.email=test@example.test"];
  await git(...who, "commit", "--quiet", "--message", "The program");
  await git("push", "--quiet", remote.url, "main");
}

/**
 * The engine with its plugins in one folder, as an installation has them: a preview's box shows that
 * folder. There, the stand-ins for the plugins are those of its own checkout.
 */
async function installEngine(folder: string): Promise<void> {
  await mkdir(folder);
  await link(await realpath(await which("pulumi")), join(folder, "pulumi"));
  for (const name of ["nodejs", "kubernetes", "random", "command"]) {
    const program = name === "nodejs" ? "pulumi-language-nodejs" : `pulumi-resource-${name}`;
    const found = await which(program, { nothrow: true });
    if (found === null) continue; // an official one, which the engine finds itself
    if (!found.startsWith(TREE)) {
      await link(await realpath(found), join(folder, program));
      continue;
    }
    const inTree = dirname(dirname(found));
    await writeFile(
      join(folder, program),
      `#!/bin/sh
plugins=/checkout/sandbox/plugins
[ -d $plugins ] || plugins=${inTree}
exec node $plugins/main.ts ${name} "$@"
`,
      { mode: 0o755 },
    );
  }
}

/** Makes the API server refuse every update of a project's Deployment. Resolves once it does. */
async function forbidUpdates(objects: KubernetesObjectApi, slug: string) {
  const apiVersion = "admissionregistration.k8s.io/v1";
  const metadata = { name: `no-change-of-${slug}` };
  const made = [
    {
      ...{ apiVersion, kind: "ValidatingAdmissionPolicy", metadata },
      spec: {
        failurePolicy: "Fail",
        matchConstraints: {
          resourceRules: [
            {
              ...{ apiGroups: ["apps"], apiVersions: ["v1"], resources: ["deployments"] },
              operations: ["UPDATE"],
            },
          ],
        },
        validations: [{ expression: "false", message: "no change today" }],
      },
    },
    {
      ...{ apiVersion, kind: "ValidatingAdmissionPolicyBinding", metadata },
      spec: {
        policyName: metadata.name,
        validationActions: ["Deny"],
        matchResources: {
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": slug } },
        },
      },
    },
  ];
  for (const object of made) await objects.create(object);
  const change = {
    ...{ apiVersion: "apps/v1", kind: "Deployment" },
    metadata: { name: slug, namespace: slug, labels: { tried: "yes" } },
  };
  await until(() => assert.rejects(objects.patch(change, undefined, "All"), /no change today/));
  return {
    async remove() {
      for (const object of made.toReversed()) await objects.delete(object);
      await until(() => objects.patch(change, undefined, "All"));
    },
  };
}
