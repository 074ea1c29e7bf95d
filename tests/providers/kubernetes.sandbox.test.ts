import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, KubeConfig, KubernetesObjectApi, PatchStrategy } from "@kubernetes/client-node";
import type { InfraError } from "../../core/errors.ts";
import { markLabels, PROJECT_LABEL } from "../../core/labels.ts";
import { Kubernetes } from "../../providers/kubernetes/client.ts";
import { deleteNamespace } from "../../providers/kubernetes/namespace-deletion.ts";
import { provider } from "../../providers/kubernetes/namespace.ts";
import { fails, rejected } from "../support/errors.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { withVariables } from "../support/variables.ts";
import { NO_OWNER } from "../../core/ownership.ts";
import { testOwner } from "../support/owner.ts";

type Props = Record<string, unknown>;

/** In ms. Long enough for a namespace that nothing blocks. */
const QUICK = { pods: 1_000, finalizers: 1_000, gone: 20_000 };

describe("kubernetes:Namespace", () => {
  const used: string[] = [];
  const config = new KubeConfig();
  let api: CoreV1Api;
  let objects: KubernetesObjectApi;
  let folder: string;
  let slug: string;

  const inputs = (more: Props = {}): Props => ({
    name: slug,
    owner: testOwner(slug),
    labels: { "pod-security.kubernetes.io/enforce": "restricted" },
    annotations: {},
    ...more,
  });

  const make = async (more: Props = {}) => {
    const { outs } = await provider.create(inputs(more));
    return outs;
  };

  const labels = async () => (await api.readNamespace({ name: slug })).metadata?.labels ?? {};

  before(async () => {
    config.loadFromDefault();
    api = config.makeApiClient(CoreV1Api);
    objects = KubernetesObjectApi.makeApiClient(config);
    folder = await mkdtemp(join(tmpdir(), "rdev-infra-test-"));
  });

  beforeEach(() => {
    slug = uniqueSlug();
    used.push(slug);
  });

  after(async () => {
    await Promise.all(used.map((name) => api.deleteNamespace({ name }).catch(() => undefined)));
    await rm(folder, { recursive: true });
  });

  it("creates a namespace with the mark and the labels", async () => {
    const outs = await make();
    const made = await api.readNamespace({ name: slug });
    assert.deepEqual(outs, { ...inputs(), uid: made.metadata?.uid });
    assert.deepEqual(made.metadata?.labels, {
      ...markLabels(testOwner(slug)),
      "pod-security.kubernetes.io/enforce": "restricted",
      "kubernetes.io/metadata.name": slug,
    });
  });

  it("adopts the marked namespace that a killed run left", async () => {
    await byHand(markLabels(testOwner(slug)));
    await make();
    assert.equal((await labels())["pod-security.kubernetes.io/enforce"], "restricted");
  });

  it("refuses an object made by hand or of another project, and leaves it untouched", async () => {
    for (const given of [{}, { team: "payroll" }, markLabels(testOwner(uniqueSlug()))]) {
      slug = uniqueSlug();
      used.push(slug);
      await byHand(given);
      const before = await api.readNamespace({ name: slug });
      const error = await fails(provider.create(inputs()), "RDEV_NOT_OURS");
      assert.match(error.message, new RegExp(slug));
      await provider.delete(slug, inputs());
      assert.deepEqual(await api.readNamespace({ name: slug }), before);
    }
  });

  it("changes labels in place, removes its own and keeps those of others", async () => {
    const outs = await make({ labels: { one: "1", two: "2" } });
    await api.patchNamespace({
      name: slug,
      body: [{ op: "add", path: "/metadata/labels/theirs", value: "stays" }],
    });
    const next = inputs({ labels: { two: "changed" }, annotations: { note: "text" } });
    const updated = await provider.update(slug, outs, next);
    assert.deepEqual(updated.outs, { ...next, uid: outs["uid"] });
    const { metadata } = await api.readNamespace({ name: slug });
    assert.deepEqual(metadata?.labels, {
      ...markLabels(testOwner(slug)),
      two: "changed",
      theirs: "stays",
      "kubernetes.io/metadata.name": slug,
    });
    assert.deepEqual(metadata?.annotations, { note: "text" });
  });

  it("finds drift of labels and mark, and corrects it", async () => {
    const outs = await make();
    assert.deepEqual(await provider.read(slug, outs), { id: slug, props: outs, inputs: inputs() });
    await api.patchNamespace({
      name: slug,
      body: [
        { op: "remove", path: "/metadata/labels/pod-security.kubernetes.io~1enforce" },
        { op: "remove", path: `/metadata/labels/${PROJECT_LABEL.replace("/", "~1")}` },
      ],
    });
    const { props = {} } = await provider.read(slug, outs);
    assert.deepEqual(props, { ...outs, labels: {}, owner: NO_OWNER });
    await provider.update(slug, props, inputs());
    assert.deepEqual((await provider.read(slug, outs)).props, outs);
  });

  it("notices that the namespace is gone, or was replaced", async () => {
    const outs = await make();
    await provider.delete(slug, outs);
    assert.deepEqual(await provider.read(slug, outs), { id: "", props: {} });
    await fails(provider.update(slug, outs, inputs({ annotations: { a: "b" } })), "RDEV_GONE");
    await byHand(markLabels(testOwner(slug)));
    assert.deepEqual(await provider.read(slug, outs), { id: "", props: {} });
    await fails(provider.update(slug, outs, inputs({ annotations: { a: "b" } })), "RDEV_GONE");
  });

  it("deletes the namespace with its content, returns when it is gone, also twice", async () => {
    const outs = await make();
    await api.createNamespacedConfigMap({ namespace: slug, body: { metadata: { name: "one" } } });
    await provider.delete(slug, outs);
    await rejected(api.readNamespace({ name: slug }), /HTTP-Code: 404/);
    await provider.delete(slug, outs);
  });

  it("deletes the namespace in bounded time, whatever finalizers its objects have", async () => {
    await make();
    await held("ConfigMap");
    await deleteNamespace(await Kubernetes.connect(), slug, { ...QUICK, finalizers: 500 });
    await rejected(api.readNamespace({ name: slug }), /HTTP-Code: 404/);
  });

  it("keeps finalizers of objects with a counterpart outside the cluster, and names them", async () => {
    await make();
    await held("Service");
    const ending = deleteNamespace(await Kubernetes.connect(), slug, QUICK);
    const error = await ending.then(
      () => assert.fail("it ended"),
      (reason: unknown) => reason as InfraError,
    );
    assert.equal(error.code, "RDEV_DEADLINE");
    assert.match(error.message, /Service held \(example\.test\/held\)/);
    assert.match(error.message, /remove the finalizers by hand/);
    const released = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "held", namespace: slug, finalizers: [] },
    };
    await objects.patch(
      released,
      ...[undefined, undefined, undefined, undefined],
      PatchStrategy.MergePatch,
    );
    await deleteNamespace(await Kubernetes.connect(), slug);
    await rejected(api.readNamespace({ name: slug }), /HTTP-Code: 404/);
  });

  it("waits for the deletion of the old namespace before it creates its own", async () => {
    const first = await make();
    const finalizers = ["rdev.io/test"];
    const namespace = slug;
    await api.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: "held", finalizers } },
    });
    const deleted = provider.delete(slug, first);
    await until(async () => (await api.readNamespace({ name: slug })).metadata?.deletionTimestamp);
    let isMade = false;
    const made = make().then((outs) => {
      isMade = true;
      return outs;
    });
    await sleep(500);
    assert.equal(isMade, false);
    await api.patchNamespacedConfigMap({
      name: "held",
      namespace,
      body: [{ op: "remove", path: "/metadata/finalizers" }],
    });
    await deleted;
    const second = await made;
    assert.notEqual(second["uid"], first["uid"]);
    const { status } = await api.readNamespace({ name: slug });
    assert.equal(status?.phase, "Active");
  });

  it("records a create that failed half way, and an update finishes it", async () => {
    const half = await fails(
      provider.create(inputs({ labels: { "no label": "?" } })),
      "RDEV_REFUSED",
    );
    assert.equal(half.id, slug);
    assert.match(half.message, /no label/);
    const { outs } = await provider.update(slug, half.properties ?? {}, inputs());
    assert.equal(outs["uid"], (await api.readNamespace({ name: slug })).metadata?.uid);
    assert.equal((await labels())["pod-security.kubernetes.io/enforce"], "restricted");
  });

  it("reports refused credentials and missing rights", async () => {
    await withToken("wrong-t0ken-of-nobody", () =>
      fails(provider.create(inputs()), "RDEV_UNAUTHORIZED", ["wrong-t0ken-of-nobody"]),
    );
    await byHand({});
    await api.createNamespacedServiceAccount({
      namespace: slug,
      body: { metadata: { name: "nobody" } },
    });
    const { status } = await api.createNamespacedServiceAccountToken({
      name: "nobody",
      namespace: slug,
      body: { spec: { audiences: [] } },
    });
    const token = status?.token ?? "";
    await withToken(token, async () => {
      const error = await fails(provider.read(slug, inputs()), "RDEV_FORBIDDEN", [token]);
      assert.match(error.message, /get namespace.*cannot get resource "namespaces"/);
    });
  });

  it("reports a server that is down and an unusable kubeconfig", async () => {
    await withKubeconfig(
      (changed) => {
        changed.clusters = changed.clusters.map((c) => ({ ...c, server: "https://127.0.0.1:1" }));
      },
      () => fails(provider.read(slug, inputs()), "RDEV_UNREACHABLE"),
    );
    await withVariables({ KUBECONFIG: join(folder, "none") }, async () => {
      const error = await fails(provider.read(slug, inputs()), "RDEV_CONNECTION");
      assert.match(error.message, /KUBECONFIG .*none.*ENOENT/);
    });
  });

  /** Creates an object with a finalizer. */
  async function held(kind: string): Promise<void> {
    await objects.create({
      apiVersion: "v1",
      kind,
      metadata: { name: "held", namespace: slug, finalizers: ["example.test/held"] },
      ...(kind === "Service" && { spec: { ports: [{ port: 80 }] } }),
    });
  }

  async function byHand(given: Record<string, string>): Promise<void> {
    await api.createNamespace({ body: { metadata: { name: slug, labels: { ...given } } } });
  }

  function withToken<T>(token: string, work: () => Promise<T>): Promise<T> {
    const change = (changed: KubeConfig) => {
      changed.users = [{ name: "other", token }];
      changed.contexts = changed.contexts.map((context) => ({ ...context, user: "other" }));
    };
    return withKubeconfig(change, work);
  }

  async function withKubeconfig<T>(
    change: (config: KubeConfig) => void,
    work: () => Promise<T>,
  ): Promise<T> {
    const changed = new KubeConfig();
    changed.loadFromDefault();
    change(changed);
    const file = join(folder, "kubeconfig");
    await writeFile(file, changed.exportConfig(), { mode: 0o600 });
    return withVariables({ KUBECONFIG: file }, work);
  }
});

async function until(check: () => Promise<unknown>): Promise<void> {
  while (!(await check())) await sleep(20);
}
