import assert from "node:assert/strict";
import { join } from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { Blobs } from "../../sandbox/images/blobs.ts";
import { packImage } from "../../sandbox/images/image.ts";
import { pushImage } from "../../sandbox/images/push.ts";
import { PROBER_IMAGE } from "../../sandbox/node/pod-images.ts";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import { type Sandbox, startSandbox } from "../../sandbox/sandbox.ts";
import { NODE_FAMILIES } from "../../sandbox/tool-families.ts";
import { plannedFamily } from "../../sandbox/tools.ts";
import { skipWithoutNode } from "../support/node.ts";
import { askProber, PROBER_PORT } from "../support/prober.ts";

const NAMESPACE = "probes";

describe("pods on a real node", () => {
  let sandbox: Sandbox;
  let core: CoreV1Api;
  let cluster: KubeConfig;

  before(async function () {
    await skipWithoutNode(this);
    sandbox = await startSandbox({ ...(await sandboxPlatform()), realNode: true });
    cluster = new KubeConfig();
    cluster.loadFromFile(env("KUBECONFIG"));
    core = cluster.makeApiClient(CoreV1Api);
    await core.createNamespace({ body: { metadata: { name: NAMESPACE } } });
    await until(() => core.readNamespacedServiceAccount({ namespace: NAMESPACE, name: "default" }));
    await createPod("prober", PROBER_IMAGE);
    await core.createNamespacedService({
      namespace: NAMESPACE,
      body: {
        metadata: { name: "web" },
        spec: { selector: { app: "prober" }, ports: [{ port: 80, targetPort: PROBER_PORT }] },
      },
    });
    await until(async () => assert.equal(await ask("/"), "prober\n"));
  });
  after(() => sandbox?.stop());

  const env = (name: string) => sandbox.env[name] ?? assert.fail(`${name} is not set`);

  async function createPod(name: string, image: string, pullSecret?: string): Promise<void> {
    await core.createNamespacedPod({
      namespace: NAMESPACE,
      body: {
        metadata: { name, labels: { app: name } },
        spec: {
          containers: [{ name, image, ports: [{ containerPort: PROBER_PORT }] }],
          ...(pullSecret && { imagePullSecrets: [{ name: pullSecret }] }),
          terminationGracePeriodSeconds: 0,
        },
      },
    });
  }

  const ask = (path: string, parameters: Record<string, string> = {}) =>
    askProber(cluster, { namespace: NAMESPACE, prober: "services/web" }, path, parameters);

  it("run on one node, which is Ready, beside the workloads of the platform", async () => {
    const { items: nodes } = await core.listNode();
    assert.deepEqual(
      nodes.map(({ metadata }) => metadata?.name),
      ["node-1"],
    );
    const ready = nodes[0]?.status?.conditions?.find(({ type }) => type === "Ready");
    assert.equal(ready?.status, "True");
    const { items: pods } = await core.listNamespacedPod({ namespace: "rdev" });
    assert.equal(pods.length, 3);
  });

  it("answer through their Service, from another pod, by its name", async () => {
    // kube-proxy learns about a new pod a moment later than the API server.
    await until(async () =>
      assert.equal(await ask("/fetch", { url: `http://web.${NAMESPACE}/` }), "prober\n"),
    );
  });

  it("get the addresses of Services from the cluster's DNS, and of nothing that does not exist", async () => {
    const { spec } = await core.readNamespacedService({ namespace: NAMESPACE, name: "web" });
    for (const name of ["web", `web.${NAMESPACE}.svc.cluster.local`]) {
      assert.equal(await ask("/lookup", { name }), `${spec?.clusterIP}\n`);
    }
    await assert.rejects(ask("/lookup", { name: "nobody" }), /no such host/);
  });

  it("reach the sandbox's servers under the addresses in its variables", async () => {
    for (const name of ["CITADEL_URL", "POSTGRES_ADMIN_URL", "REDIS_ADMIN_URL", "DATABASE_URL"]) {
      const { hostname, port } = new URL(env(name));
      assert.equal(hostname, sandbox.node?.link.host, name);
      await ask("/connect", { address: `${hostname}:${port}` });
    }
    const tenants = ask("/fetch", { url: `${env("CITADEL_URL")}/api/v1/tenants` });
    await assert.rejects(tenants, /^Error: 401 /, "Citadel answers that the key is missing");
  });

  it("reach neither etcd nor other servers of this machine, nor any other network", async () => {
    const { host, node } = sandbox.node?.link ?? assert.fail("there is no node");
    const gitea = new URL(env("GITEA_URL")).port;
    for (const address of [`${host}:${gitea}`, `${node}:2379`, "192.0.2.1:80", "127.0.0.1:10250"]) {
      await assert.rejects(ask("/connect", { address }), /refused|unreachable|timeout/, address);
    }
    await assert.rejects(
      ask("/fetch", { url: `https://${node}:10250/pods` }),
      /certificate|Unauthorized/,
    );
  });

  it("have logs, which the API server gets from the kubelet", async () => {
    await ask("/log", { line: "hello" });
    const log = await core.readNamespacedPodLog({ namespace: NAMESPACE, name: "prober" });
    assert.equal(log, "hello\n");
  });

  describe("with an image from the sandbox's registry", () => {
    let image: string;
    before(async () => {
      const { registry } = await sandboxPlatform();
      const blobs = new Blobs(join(sandbox.folder, "test-images"));
      const { built } = await plannedFamily(NODE_FAMILIES.pods);
      const layer = [{ path: "/prober", source: built.program("prober") }];
      await pushImage(await packImage(blobs, [layer], { entrypoint: ["/prober"] }), {
        url: env("REGISTRY_URL"),
        repository: "pulled",
        tag: "1",
        account: { username: env("REGISTRY_USERNAME"), password: env("REGISTRY_PASSWORD") },
      });
      image = `${registry}/pulled:1`;
      await createPullSecret("right", registry, env("REGISTRY_PASSWORD"));
      await createPullSecret("wrong", registry, "not-it");
    });

    async function createPullSecret(name: string, host: string, password: string): Promise<void> {
      const auths = { [host]: { username: env("REGISTRY_USERNAME"), password } };
      await core.createNamespacedSecret({
        namespace: NAMESPACE,
        body: {
          metadata: { name },
          type: "kubernetes.io/dockerconfigjson",
          stringData: { ".dockerconfigjson": JSON.stringify({ auths }) },
        },
      });
    }

    async function stateOf(name: string) {
      const { status } = await core.readNamespacedPod({ namespace: NAMESPACE, name });
      return status?.containerStatuses?.[0]?.state;
    }

    it("pull it with the right password, and not with a wrong one or none", async () => {
      await createPod("allowed", image, "right");
      await createPod("refused", image, "wrong");
      await createPod("anonymous", image);
      await until(async () => {
        assert.ok((await stateOf("allowed"))?.running);
        for (const name of ["refused", "anonymous"]) {
          const reason = (await stateOf(name))?.waiting?.reason ?? "";
          assert.match(reason, /ErrImagePull|ImagePullBackOff/, name);
        }
      });
    });
  });
});
