import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { request } from "undici";
import { parse, stringify } from "yaml";
import { previewStacks } from "../../../automation/previews/preview-stacks.ts";
import { parseBlockRules } from "../../../core/previews/policies.ts";
import { reportSchema } from "../../../core/previews/model.ts";
import { readMarker } from "../../../core/previews/comment.ts";
import { GiteaPullRequests } from "../../../providers/gitea/pull-requests.ts";
import { runCli } from "../../cli/run-cli.ts";
import { filesUnder } from "../../support/leaks.ts";
import { runningSandbox } from "../../support/sandbox.ts";
import { projects, succeeded, type Project } from "../../support/stage.ts";
import { variable } from "../../support/variables.ts";

/** The hash of every file of the state's backend. */
async function stateFiles(): Promise<Record<string, string>> {
  const folder = new URL(variable("PULUMI_BACKEND_URL")).pathname;
  const found: Record<string, string> = {};
  for await (const file of filesUnder(folder)) {
    found[file] = createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
  }
  return found;
}

async function gitea<T>(method: "GET" | "POST", path: string, json?: unknown): Promise<T> {
  const { statusCode, body } = await request(`${variable("GITEA_URL")}/api/v1${path}`, {
    method,
    headers: {
      authorization: `token ${variable("GITEA_TOKEN")}`,
      "content-type": "application/json",
    },
    ...(json !== undefined && { body: JSON.stringify(json) }),
  });
  const text = await body.text();
  assert.ok(statusCode < 300, `${method} ${path}: ${statusCode} ${text}`);
  return JSON.parse(text) as T;
}

describe("previews of many stacks, on the sandbox", function () {
  this.timeout(400_000);

  const next = projects();
  let first: Project;
  let second: Project;

  before(async () => {
    first = await next();
    second = await next();
    for (const project of [first, second]) succeeded(await project.up());
  });

  it("change no server and no state, and fail independently", async () => {
    const { workDir, stack } = first;
    const servers = () => Promise.all([first.onServers(), second.onServers()]);
    const before = { servers: await servers(), state: await stateFiles() };
    const config = join(workDir, `Pulumi.${second.stack}.yaml`);
    const text = await readFile(config, "utf8");
    const settings = parse(text) as { config?: Record<string, unknown> };
    const resized = { ...settings.config, "rdev:sizes": { replicas: 2 } };
    await writeFile(config, stringify({ ...settings, config: resized }));
    try {
      const stacks = [stack, second.stack, "staging.not-there"];
      const rules = parseBlockRules("update:Deployment");
      const [same, changed, failed] = await previewStacks(stacks, { workDir, rules });
      assert.deepEqual([same?.result, same?.changes], ["succeeded", []]);
      assert.deepEqual(changed?.changes[0]?.properties, [
        { path: "spec.replicas", kind: "update", replaces: false, old: "1", new: "2" },
      ]);
      assert.deepEqual(
        changed?.findings.map(({ rule }) => rule),
        ["settings-changed", "update:Deployment"],
      );
      assert.equal(failed?.result, "failed");
      assert.match(failed?.errors[0]?.message ?? "", /does not exist/);
    } finally {
      await writeFile(config, text);
    }
    assert.deepEqual({ servers: await servers(), state: await stateFiles() }, before);
  });

  it("wait for no lock, and leave another holder's lock in place", async () => {
    const { workDir, stack } = first;
    const folder = new URL(variable("PULUMI_BACKEND_URL")).pathname;
    const lock = join(folder, ".pulumi/locks/organization/rdev", stack, "another.json");
    await mkdir(dirname(lock), { recursive: true });
    const holder = { pid: process.pid, username: "ada", hostname: "elsewhere" };
    await writeFile(lock, JSON.stringify({ ...holder, timestamp: new Date().toISOString() }));
    try {
      const before = await stateFiles();
      const [preview] = await previewStacks([stack], { workDir, rules: parseBlockRules("none") });
      assert.deepEqual([preview?.result, preview?.errors], ["succeeded", []]);
      assert.deepEqual(await stateFiles(), before);
    } finally {
      await rm(lock);
    }
  });

  it("keep one comment on a draft in Gitea across pushes and a failed start", async () => {
    const { workFolder } = runningSandbox();
    const name = `pulls-${randomBytes(3).toString("hex")}`;
    const { full_name: repository } = await gitea<{ full_name: string }>("POST", "/user/repos", {
      name,
      auto_init: true,
      default_branch: "main",
    });
    const push = (file: string, from: string) =>
      gitea("POST", `/repos/${repository}/contents/${file}`, {
        content: "YQ==",
        branch: from,
        ...(from !== "topic" && { new_branch: "topic" }),
      });
    await push("one.txt", "main");
    const title = "WIP: a draft";
    await gitea("POST", `/repos/${repository}/pulls`, { title, head: "topic", base: "main" });
    const [owner = ""] = repository.split("/");
    const url = variable("GITEA_URL");
    const place = { url, owner, repository: name, number: 1, token: variable("GITEA_TOKEN") };
    const pulls = new GiteaPullRequests(place);
    for (let index = 0; index < 60; index += 1) await pulls.post(`a word ${index}`); // more than a page

    const report = join(workFolder, "preview.json");
    const named = ["--stacks", `${first.stack},staging.not-there`];
    const run = async (which = named, more: Record<string, string> = {}) => {
      const commit = await pulls.head();
      const variables = {
        GITHUB_ACTIONS: undefined,
        CI_FORGE_TYPE: "gitea",
        CI_FORGE_URL: url,
        CI_REPO: repository,
        CI_COMMIT_PULL_REQUEST: "1",
        CI_COMMIT_SHA: commit,
        ...more,
      };
      const args = ["preview", ...which, "--comment", "--report", report];
      const ran = await runCli([...args, "--work-dir", workFolder], { variables });
      const ours = (await pulls.comments()).filter(({ body }) => readMarker(body));
      assert.equal(ours.length, 1, ran.stderr);
      return { ...ran, commit, comment: ours[0]! };
    };
    const before = await run();
    assert.equal(before.code, 1);
    assert.match(before.comment.body, /### ❌ Failed[^]*staging\.not-there[^]*does not exist/);
    reportSchema.parse(JSON.parse(await readFile(report, "utf8")));
    await rm(report);
    await push("two.txt", "topic");
    const after = await run();
    assert.equal(after.comment.id, before.comment.id);
    assert.equal(readMarker(after.comment.body)?.commit, after.commit);
    assert.notEqual(after.commit, before.commit);
    const path = `/repos/${repository}/commits/${after.commit}/status`;
    const { state } = await gitea<{ state: string }>("GET", path);
    assert.equal(state, "failure");

    const lost = await run(["--all"], { PULUMI_BACKEND_URL: "file:///nowhere" });
    assert.notEqual(lost.code, 0);
    assert.equal(lost.comment.id, before.comment.id);
    assert.match(lost.comment.body, /## ❌ No preview[^]*RDEV/);
    assert.doesNotMatch(lost.comment.body, /being previewed/);
  });
});
