import assert from "node:assert/strict";
import { CoreV1Api } from "@kubernetes/client-node";
import { onlyCurrentPods } from "../../sandbox/demo/deployed-pods.ts";
import { NODE_NAME } from "../../sandbox/node/box.ts";
import { until } from "../../sandbox/process.ts";
import { leftOnServers } from "../../sandbox/proofs/left-on-servers.ts";
import { refused } from "../support/errors.ts";
import { skipWithoutNode } from "../support/node.ts";
import { allAnswered, NodePlatform, type NodeProject } from "../support/node-projects.ts";
import { askProber, createProber, PROBER_PORT } from "../support/prober.ts";
import { programImage } from "../support/program-image.ts";
import { rolledOut } from "../support/rolled-out.ts";
import { skeletonImage } from "../support/skeleton-image.ts";

const PER_SECOND = 50;

describe("projects on a real node", () => {
  let platform: NodePlatform;
  let one: NodeProject;
  let neighbour: NodeProject;
  let core: CoreV1Api;

  before(async function () {
    await skipWithoutNode(this);
    platform = await NodePlatform.start();
    core = platform.cluster.makeApiClient(CoreV1Api);
    [one, neighbour] = await Promise.all([
      platform.project("busy-app"),
      platform.project("neighbour"),
    ]);
  });
  after(() => platform?.sandbox.stop());

  it("answer with the placeholder until their first build", async () => {
    assert.match(await one.answers(503), /This project has no build yet/);
  });

  describe("whose images are built", () => {
    before(async () => {
      const { folder } = platform.sandbox;
      const skeleton = await skeletonImage(folder, one.slug);
      for (const tag of ["1", "2"]) await one.push(skeleton, tag);
      for (const program of ["crashes", "hungry", "silent"] as const) {
        await one.push(await programImage(folder, program), program);
      }
      await neighbour.push(await programImage(folder, "silent"), "silent");
      await deploy("1");
      await one.answers(200);
    });
    // Each test may leave another image.
    afterEach(() => deploy("1"));

    async function deploy(tag: string): Promise<void> {
      await one.setImage(tag);
      await rolledOut(one.place);
      await onlyCurrentPods(one.place);
    }

    it("answer every request during a rollout", async () => {
      const visits = one.visits(PER_SECOND);
      await deploy("2");
      assert.ok((await allAnswered(visits)) > PER_SECOND);
    });

    it("keep the pipeline's rollout, and answer, if an up runs in the middle of it", async () => {
      await one.setImage("silent");
      await until(async () => assert.equal((await one.pods("silent")).length, 1));
      const visits = one.visits(5);
      // Otherwise it would wait until the pods are ready, for 10 minutes.
      assert.match(await one.up(), /rollout of the image \S+:silent, which CI set in busy-app/);
      const [pod] = await one.pods("silent");
      assert.equal(pod?.metadata?.deletionTimestamp, undefined);
      await deploy("2");
      assert.doesNotMatch(await one.up(), /CI set/);
      assert.ok((await allAnswered(visits)) > 5);
    });

    for (const [program, reason] of [
      ["crashes", "Error: ended with exit code 3"],
      ["hungry", "OOMKilled: ended with exit code 137"],
    ] as const) {
      it(`whose process ${program}: an up says "${reason}", and does not wait`, async () => {
        await one.setImage(program);
        await until(async () => {
          const [pod] = await one.pods(program);
          const [container] = pod?.status?.containerStatuses ?? [];
          assert.ok((container?.restartCount ?? 0) > 0, JSON.stringify(container));
        });
        const output = await one.up();
        assert.ok(output.includes(`container app: ${reason}`), output);
        assert.match(output, /Push a commit that mends it/);
        await one.answers(200);
        await deploy("2");
        assert.doesNotMatch(await one.up(), /does not come up/);
      });
    }

    it("get no more than their quota, and an up says so", async () => {
      await assert.rejects(
        createProber(platform.cluster, one.slug, "large", { memory: "2Gi" }),
        /maximum memory usage per Container is 1Gi/,
      );
      // Beside the project's own pod, it leaves no room for the one that a rollout starts first.
      await createProber(platform.cluster, one.slug, "greedy", { memory: "700Mi" });
      await assert.rejects(
        createProber(platform.cluster, one.slug, "second", { memory: "256Mi" }),
        /exceeded quota: project, requested: .*limits.memory=256Mi/,
      );
      try {
        await one.setImage("2");
        await until(async () => {
          const { items } = await core.listNamespacedEvent({ namespace: one.slug });
          assert.ok(items.some(({ message }) => message?.includes("exceeded quota")));
        });
        assert.match(await one.up(), /exceeded quota: project, requested: .*limits.memory=256Mi/);
        await one.answers(200);
      } finally {
        await core.deleteNamespacedPod({ namespace: one.slug, name: "greedy" });
      }
    });

    it("refuse sizes that their quota has no room for, before anything is changed", async () => {
      const sizes = 'sizes={"replicas":8}';
      const { exitCode, all } = await platform.try("up", one.stack, "--config", sizes);
      assert.notEqual(exitCode, 0);
      assert.match(all, /RDEV_SETTINGS[\s\S]*memoryQuota: is 1Gi, too small for 8 replicas/);
      assert.equal((await one.pods("1")).length, 1);
      await platform.run("up", one.stack, "--config", 'sizes={"replicas":1}');
    });

    it("let their pipeline set the image only, and leave the node to the scheduler", async () => {
      const change = (spec: object) => refused(one.patch(spec));
      const container = { name: "app", image: one.image("2") };
      for (const [spec, field] of [
        [{ replicas: 2 }, "spec.replicas"],
        [{ template: { spec: { nodeName: NODE_NAME } } }, "nodeName"],
        [{ template: { spec: { hostNetwork: true } } }, "hostNetwork"],
        [{ template: { spec: { containers: [{ ...container, args: ["x"] }] } } }, "container app"],
      ] as const) {
        const message = await change(spec);
        assert.match(message, /ValidatingAdmissionPolicy '(deploy|placement)\.staging\.rdev\.io'/);
        assert.ok(message.includes(field), message);
      }
      const pinned = createProber(platform.cluster, one.slug, "pinned", { nodeName: NODE_NAME });
      assert.match(await refused(pinned), /'placement\.staging\.rdev\.io'.*nodeName/);
      assert.equal((await one.pods("1")).length, 1);
    });

    it("are reached by their own pods and the ingress only, and reach no closed address", async () => {
      const outside = "outside";
      await core.createNamespace({ body: { metadata: { name: outside } } });
      await until(() => core.readNamespacedServiceAccount({ namespace: outside, name: "default" }));
      const { ingressNamespace } = platform.settings;
      const namespaces = [one.slug, neighbour.slug, ingressNamespace, outside];
      for (const namespace of namespaces) {
        await createProber(platform.cluster, namespace, "prober");
      }
      const ask = (namespace: string, path: string, parameters: Record<string, string>) =>
        askProber(
          platform.cluster,
          { namespace, prober: `pods/prober:${PROBER_PORT}` },
          path,
          parameters,
        );
      const url = `http://${one.slug}.${one.slug}.svc.cluster.local/`;
      // Each has a route, and the names of Services, before it is asked for the project.
      for (const namespace of namespaces) {
        await until(() => ask(namespace, "/lookup", { name: new URL(url).hostname }));
      }
      await until(() => ask(one.slug, "/fetch", { url }));
      await until(() => ask(ingressNamespace, "/fetch", { url }));
      for (const namespace of [neighbour.slug, outside]) {
        await assert.rejects(ask(namespace, "/fetch", { url }), /refused/, namespace);
      }

      const server = (name: string) => {
        const { hostname, port } = new URL(platform.env(name));
        return { address: `${hostname}:${port}` };
      };
      await ask(one.slug, "/connect", server("POSTGRES_ADMIN_URL"));
      await ask(one.slug, "/connect", server("REDIS_ADMIN_URL"));
      // These are closed to projects, and open to others.
      const closed = [server("CITADEL_URL"), { address: `${platform.node.link.node}:6443` }];
      for (const target of closed) {
        await ask(outside, "/connect", target);
        await assert.rejects(ask(one.slug, "/connect", target), /refused/, target.address);
      }
      for (const namespace of namespaces) {
        await core.deleteNamespacedPod({ namespace, name: "prober" });
      }
    });

    it("leave nothing when they are destroyed in the middle of a rollout", async () => {
      await neighbour.setImage("silent");
      await until(async () => {
        const [pod] = await neighbour.pods("silent");
        assert.equal(pod?.status?.phase, "Running");
      });
      const visits = one.visits(5);
      await platform.run("destroy", neighbour.stack, "--remove");
      assert.ok((await allAnswered(visits)) > 5);
      assert.deepEqual(await leftOnServers(neighbour.place), []);
      await until(async () =>
        assert.deepEqual(await platform.node.containersOf(neighbour.slug), []),
      );
    });
  });
});
