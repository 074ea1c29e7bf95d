import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCluster } from "../../../../sandbox/plugins/kubernetes/kubeconfig.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

const config = (user: object): string =>
  JSON.stringify({
    "current-context": "one",
    contexts: [
      { name: "one", context: { cluster: "c", user: "u", namespace: "shop" } },
      { name: "two", context: { cluster: "absent", user: "u" } },
    ],
    clusters: [
      {
        name: "c",
        cluster: { server: "https://c:6443", "certificate-authority-data": base64("CA") },
      },
    ],
    users: [{ name: "u", user }],
  });

describe("kubeconfig", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "kubeconfig-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("gives server, namespace, certificate and token of its current context", async () => {
    const cluster = await findCluster({ kubeconfig: config({ token: "t" }) }, {});
    assert.equal(cluster.server, "https://c:6443");
    assert.equal(cluster.namespace, "shop");
    assert.deepEqual(cluster.tls, { ca: "CA", rejectUnauthorized: true });
    assert.equal(cluster.authorization(), "Bearer t");
  });

  it("is found by KUBECONFIG, with files named from its folder and tokens read anew", async () => {
    const path = join(folder, "config");
    await writeFile(path, config({ tokenFile: "token" }));
    await writeFile(join(folder, "token"), "first\n");
    const cluster = await findCluster({}, { KUBECONFIG: `${folder}/absent:${path}` });
    assert.equal(cluster.authorization(), "Bearer first");
    await writeFile(join(folder, "token"), "second\n");
    assert.equal(cluster.authorization(), "Bearer second");
  });

  it("lets the provider choose the namespace", async () => {
    const choice = { kubeconfig: config({}), namespace: "mine" };
    const cluster = await findCluster(choice, {});
    assert.equal(cluster.namespace, "mine");
    assert.equal(cluster.authorization(), undefined);
  });

  it("is refused with what is missing", async () => {
    const kubeconfig = config({ exec: {} });
    await assert.rejects(findCluster({ kubeconfig }, {}), /"u" logs in by exec/);
    await assert.rejects(
      findCluster({ kubeconfig, context: "three" }, {}),
      /no context "three"; its contexts are: one, two/,
    );
    await assert.rejects(
      findCluster({ kubeconfig, context: "two" }, {}),
      /no server for the cluster "absent"/,
    );
  });
});
