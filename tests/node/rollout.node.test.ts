import assert from "node:assert/strict";
import { join } from "node:path";
import { AppsV1Api } from "@kubernetes/client-node";
import { execa } from "execa";
import { onlyCurrentPods, serviceUrl } from "../../sandbox/demo/deployed-pods.ts";
import { startVisits, visit } from "../../sandbox/demo/visits.ts";
import { pushImage } from "../../sandbox/images/push.ts";
import { PLATFORM, sandboxPlatform } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { type Sandbox, startSandbox } from "../../sandbox/sandbox.ts";
import { skipWithoutNode } from "../support/node.ts";
import { skeletonImage } from "../support/skeleton-image.ts";

const COMMAND = join(import.meta.dirname, "../../cli/rdev-infra.js");
const SLUG = "busy-app";
const PER_SECOND = 50;

describe("a project on a real node", () => {
  let sandbox: Sandbox;
  let registry: string;
  let url: string;

  before(async function () {
    await skipWithoutNode(this);
    const settings = await sandboxPlatform();
    sandbox = await startSandbox({ ...settings, realNode: true });
    registry = settings.registry;
    await run("up", PLATFORM);
    await run("up", `${PLATFORM}.${SLUG}`);
    url = await serviceUrl(place());
  });
  after(() => sandbox?.stop());

  const env = (name: string) => sandbox.env[name] ?? assert.fail(`${name} is not set`);
  const node = () => sandbox.node ?? assert.fail("there is no node");

  const place = () => ({ slug: SLUG, env: sandbox.env });

  async function run(operation: string, stack: string): Promise<void> {
    await execa(process.execPath, [COMMAND, operation, stack, "--yes"], {
      env: sandbox.env,
      cwd: sandbox.workFolder,
    });
  }

  /** Runs the image with this tag, as the project's pipeline does. Resolves when no old pod is left. */
  async function deploy(tag: string): Promise<void> {
    const apps = kubeConfig(sandbox).makeApiClient(AppsV1Api);
    const value = `${registry}/${SLUG}:${tag}`;
    await apps.patchNamespacedDeployment({
      namespace: SLUG,
      name: SLUG,
      body: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value }],
    });
    await onlyCurrentPods(place());
  }

  it("answers with the placeholder until its first build", async () => {
    await until(async () => {
      const [answer] = await visit(node(), { url, perSecond: 1, count: 1 });
      assert.ok(answer && "body" in answer, JSON.stringify(answer));
      assert.equal(answer.status, 503);
      assert.match(answer.body, /This project has no build yet/);
    });
  });

  it("answers every request during a rollout", async () => {
    const image = await skeletonImage(sandbox.folder, SLUG);
    for (const tag of ["1", "2"]) {
      await pushImage(image, {
        url: env("REGISTRY_URL"),
        repository: SLUG,
        tag,
        account: { username: env("REGISTRY_USERNAME"), password: env("REGISTRY_PASSWORD") },
      });
    }
    await deploy("1");
    await until(async () => {
      const [answer] = await visit(node(), { url, perSecond: 1, count: 1 });
      assert.ok(answer && "body" in answer && answer.status === 200, JSON.stringify(answer));
    });
    const visits = startVisits(node(), { url, perSecond: PER_SECOND });
    await deploy("2");
    const answers = await visits.stop();
    assert.ok(answers.length > PER_SECOND, `${answers.length} requests`);
    assert.deepEqual(
      answers.filter((answer) => !("status" in answer && answer.status === 200)),
      [],
    );
  });
});
