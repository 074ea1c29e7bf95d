import assert from "node:assert/strict";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { parsePath } from "../../../../core/engine-values.ts";
import { getAt } from "../../../../sandbox/plugins/property-path.ts";
import type { Properties } from "../../../../sandbox/plugins/values.ts";
import { Run } from "../engine.ts";
import { Cluster } from "./cluster.ts";

const at = (object: Properties, path: string) => getAt(object, parsePath(path));

describe("stand-in for the plugin kubernetes", function () {
  this.timeout(400_000);
  let run: Run;
  let cluster: Cluster;
  beforeEach(async () => {
    [run, cluster] = await Promise.all([Run.start(), Cluster.withNamespace()]);
  });
  afterEach(async () => {
    try {
      await run.end();
    } finally {
      await cluster.end();
    }
  });

  const metadata = (name?: string) => ({
    namespace: cluster.namespace,
    ...(name !== undefined && { name }),
  });

  const configMap = (data: Record<string, string>, options: pulumi.CustomResourceOptions = {}) =>
    new k8s.core.v1.ConfigMap("settings", { metadata: metadata("settings"), data }, options);

  interface Wish {
    readonly app?: string;
    readonly replicas?: number;
    readonly image?: string;
    readonly nodeSelector?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  }

  function deployment(wish: Wish = {}, options: pulumi.CustomResourceOptions = {}) {
    const { app = "web", replicas = 1, image = "placeholder", nodeSelector = {} } = wish;
    const labels = { app };
    const { annotations = {} } = wish;
    const containers = [{ name: "app", image }];
    const template = { metadata: { labels }, spec: { nodeSelector, containers } };
    return new k8s.apps.v1.Deployment(
      "web",
      {
        metadata: { ...metadata("web"), annotations },
        spec: { replicas, selector: { matchLabels: labels }, template },
      },
      // A rollout that hangs is to say why before the test is over.
      { customTimeouts: { create: "60s", update: "60s" }, ...options },
    );
  }

  it("makes, previews, changes and deletes objects whose values are known late", async () => {
    const program = (tier?: string) => () => {
      const password = new random.RandomPassword("password", { length: 24, special: false });
      const secret = new k8s.core.v1.Secret("access", {
        metadata: metadata(),
        stringData: { password: password.result },
      });
      const settings = new k8s.core.v1.ConfigMap("settings", {
        metadata: { ...metadata(), labels: tier === undefined ? {} : { tier } },
        data: { secret: secret.metadata.name },
      });
      return { password: password.result, secret: secret.id, settings: settings.metadata.name };
    };
    const planned = await run.preview(program());
    assert.deepEqual(
      planned.map(({ op }) => op),
      ["create", "create", "create"],
    );
    assert.deepEqual(await cluster.list("Secret"), []);

    const outputs = await run.up(program());
    const [namespace, secretName] = String(outputs["secret"]).split("/");
    assert.equal(namespace, cluster.namespace);
    assert.match(String(secretName), /^access-[0-9a-f]{8}$/);
    const password = String(outputs["password"]);
    const encoded = Buffer.from(password).toString("base64");
    assert.equal(at(await cluster.get("Secret", String(secretName)), "data.password"), encoded);
    const stored = await run.stored();
    assert.ok(!stored.includes(password) && !stored.includes(encoded));
    assert.ok(!run.output.includes(password) && !run.output.includes(encoded));

    assert.deepEqual(await run.preview(program()), []);
    const [step, ...rest] = await run.preview(program("front"));
    assert.deepEqual(
      [step?.op, step?.changes, rest],
      ["update", { "metadata.labels.tier": "add" }, []],
    );
    const changed = await run.up(program("front"));
    assert.equal(changed["settings"], outputs["settings"]);
    const live = await cluster.get("ConfigMap", String(changed["settings"]));
    assert.equal(at(live, "metadata.labels.tier"), "front");

    await run.up(program());
    const without = await cluster.get("ConfigMap", String(changed["settings"]));
    assert.equal(at(without, "metadata.labels.tier"), undefined);

    await run.destroy();
    assert.equal(await cluster.find("Secret", String(secretName)), undefined);
    assert.equal(await cluster.find("ConfigMap", String(changed["settings"])), undefined);
  });

  it("previews into a namespace that is made in the same run", async () => {
    const name = `${cluster.namespace}-later`;
    const program = () => {
      new k8s.core.v1.Namespace("later", { metadata: { name } });
      new k8s.core.v1.ConfigMap("settings", { metadata: { name: "settings", namespace: name } });
    };
    assert.deepEqual(
      (await run.preview(program)).map(({ op }) => op),
      ["create", "create"],
    );
  });

  it("replaces what cannot be changed in place, the old one first where the name is fixed", async () => {
    await run.up(() => void deployment({ app: "one" }));
    const before = at(await cluster.get("Deployment", "web"), "metadata.uid");
    const steps = await run.preview(() => void deployment({ app: "two" }));
    const replace = steps.find(({ op }) => op === "replace");
    assert.deepEqual(replace?.changes, {
      "spec.selector.matchLabels.app": "update-replace",
      "spec.template.metadata.labels.app": "update",
    });
    assert.equal(steps[0]?.op, "delete-replaced");
    await run.up(() => void deployment({ app: "two" }));
    assert.notEqual(at(await cluster.get("Deployment", "web"), "metadata.uid"), before);
  });

  it("refuses an object that somebody else made, and leaves it as it is", async () => {
    const mine = { apiVersion: "v1", kind: "ConfigMap", metadata: metadata("settings") };
    await cluster.make({ ...mine, data: { of: "another" } });
    const output = await run.upFails(() => void configMap({ of: "us" }));
    assert.match(output, /configmaps "settings" already exists: it was not made by this resource/);
    await run.destroy();
    assert.equal(at(await cluster.get("ConfigMap", "settings"), "data.of"), "another");
  });

  it("takes an object that is gone for deleted, and makes it anew after a refresh", async () => {
    const program = () => void configMap({ a: "1" });
    await run.up(program);
    await cluster.remove("ConfigMap", "settings");
    await run.refresh();
    await run.up(program);
    await cluster.remove("ConfigMap", "settings");
    await run.destroy();
    assert.deepEqual(await run.resources(), []);
  });

  it("finds drift on refresh, and puts it back", async () => {
    const labelled = () => {
      const labels = { tier: "front" };
      new k8s.core.v1.ConfigMap("settings", { metadata: { ...metadata("settings"), labels } });
    };
    await run.up(labelled);
    const annotations = { of: "another" };
    await cluster.change("ConfigMap", "settings", { metadata: { annotations } });
    const drift = { metadata: { labels: { tier: "back" } } };
    await cluster.change("ConfigMap", "settings", drift, "kubectl-edit");
    assert.deepEqual(await run.preview(labelled), []);
    await run.refresh();
    const [step] = await run.preview(labelled);
    assert.deepEqual([step?.op, step?.changes], ["update", { "metadata.labels.tier": "update" }]);
    await run.up(labelled);
    const live = await cluster.get("ConfigMap", "settings");
    assert.equal(at(live, "metadata.labels.tier"), "front");
    assert.equal(at(live, "metadata.annotations.of"), "another");
  });

  for (const manager of ["woodpecker", "kubectl-set"]) {
    it(`leaves the image to ${manager} under ignoreChanges`, async () => {
      const ignoreChanges = ["spec.template.spec.containers[0].image"];
      await run.up(() => void deployment({}, { ignoreChanges }));
      const containers = [{ name: "app", image: "built:1" }];
      const built = { spec: { template: { spec: { containers } } } };
      await cluster.change("Deployment", "web", built, manager);
      assert.deepEqual(await run.preview(() => void deployment({}, { ignoreChanges })), []);
      await run.up(() => void deployment({ replicas: 2 }, { ignoreChanges }));
      const live = await cluster.get("Deployment", "web");
      assert.equal(at(live, "spec.replicas"), 2);
      assert.equal(at(live, "spec.template.spec.containers[0].image"), "built:1");
    });
  }

  it("names who manages a field that conflicts, and takes it over on demand", async () => {
    await run.up(() => void deployment());
    await cluster.change("Deployment", "web", { spec: { replicas: 3 } }, "autoscaler");
    const output = await run.upFails(() => void deployment({ replicas: 2 }));
    assert.match(output, /\.spec\.replicas: conflict with "autoscaler"/);
    assert.match(output, /pulumi\.com\/patchForce/);
    const annotations = { "pulumi.com/patchForce": "true" };
    await run.up(() => void deployment({ replicas: 2, annotations }));
    assert.equal(at(await cluster.get("Deployment", "web"), "spec.replicas"), 2);
  });

  it("conflicts with what kubectl scaled, in a preview already, until it may force", async () => {
    await run.up(() => void deployment());
    await run.up(() => void deployment({ annotations: { applied: "once" } }));
    await cluster.scale("web", 3);
    await run.refresh();
    const program = () => void deployment({ annotations: { applied: "once" } });
    await assert.rejects(run.preview(program));
    assert.match(run.output, /\.spec\.replicas: conflict with "kubectl" with subresource "scale"/);
    assert.match(await run.upFails(program), /\.spec\.replicas: conflict/);

    const annotations = { applied: "once", "pulumi.com/patchForce": "true" };
    await run.preview(() => void deployment({ annotations }));
    await run.up(() => void deployment({ annotations }));
    assert.equal(at(await cluster.get("Deployment", "web"), "spec.replicas"), 1);
  });

  it("waits until a Service's endpoints have stayed as they are for 10 s", async () => {
    const begin = Date.now();
    await run.up(() => {
      const spec = { selector: { app: "web" }, ports: [{ port: 80 }] };
      new k8s.core.v1.Service("web", { metadata: metadata("web"), spec });
    });
    assert.ok(Date.now() - begin >= 10_000);
  });

  it("puts Patch resources on an object that exists, and takes each back by itself", async () => {
    const labels = { own: "kept" };
    const target = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { ...metadata("theirs"), labels },
    };
    await cluster.make(target);
    const patch = (key: string, value: string) =>
      new k8s.core.v1.ConfigMapPatch(key, {
        metadata: { ...metadata("theirs"), labels: { [key]: value } },
      });
    const live = async () => at(await cluster.get("ConfigMap", "theirs"), "metadata.labels");
    await run.up(() => void [patch("one", "1"), patch("two", "2")]);
    assert.deepEqual(await live(), { ...labels, one: "1", two: "2" });
    await run.up(() => void [patch("one", "changed")]);
    assert.deepEqual(await live(), { ...labels, one: "changed" });
    await run.destroy();
    assert.deepEqual(await live(), labels);
  });

  it("does not make an object for a Patch resource", async () => {
    const program = () => {
      new k8s.core.v1.ConfigMapPatch("patch", { metadata: { ...metadata("absent"), labels: {} } });
    };
    assert.match(
      await run.upFails(program),
      /ConfigMap .*absent does not exist, so that it cannot/,
    );
    assert.equal(await cluster.find("ConfigMap", "absent"), undefined);
  });

  it("keeps what does not become ready, says why, and goes on with it", async () => {
    const nodeSelector = { planet: "mars" };
    const options = { customTimeouts: { create: "2s", update: "20s" } };
    const output = await run.upFails(() => void deployment({ nodeSelector }, options));
    assert.match(output, /web was created, but did not become ready: not ready after 2 s/);
    assert.match(output, /pod web-\S+: .*didn't match Pod's node affinity/);
    const stored = await run.resource("kubernetes:apps/v1:Deployment");
    assert.equal(stored.id, `${cluster.namespace}/web`);
    assert.equal(stored.initErrors?.length, 1);

    const before = at(await cluster.get("Deployment", "web"), "metadata.uid");
    await run.up(() => void deployment({}, options));
    const live = await cluster.get("Deployment", "web");
    assert.equal(at(live, "metadata.uid"), before);
    assert.equal(at(live, "status.availableReplicas"), 1);
  });

  it("replaces a Job that failed, if its annotation asks for that", async () => {
    const job = (wish: { readonly canRun: boolean }) => {
      const nodeSelector: Record<string, string> = wish.canRun ? {} : { planet: "mars" };
      const containers = [{ name: "app", image: "x" }];
      const template = { spec: { restartPolicy: "Never", nodeSelector, containers } };
      new k8s.batch.v1.Job("once", {
        metadata: { ...metadata("once"), annotations: { "pulumi.com/replaceUnready": "true" } },
        spec: { activeDeadlineSeconds: wish.canRun ? 60 : 1, template },
      });
    };
    const output = await run.upFails(() => job({ canRun: false }));
    assert.match(output, /once was created, but did not become ready: .*deadline/);
    const [step] = await run.preview(() => job({ canRun: false }));
    assert.equal(step?.op, "delete-replaced");
    await run.up(() => job({ canRun: true }));
    assert.deepEqual(await run.preview(() => job({ canRun: true })), []);
  });

  it("passes on what the API server finds wrong, in a preview already", async () => {
    const program = () => {
      const ports = [{ port: 99_999 }];
      new k8s.core.v1.Service("web", { metadata: metadata("web"), spec: { ports } });
    };
    await assert.rejects(run.preview(program));
    assert.match(
      run.output,
      /Service "web" is invalid: \[spec\.ports\[0\]\.port: Invalid value: 99999/,
    );
    assert.doesNotMatch(run.output, /at .*\.ts:\d+/);
  });

  it("passes on what is forbidden, and why", async () => {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await cluster.change("Namespace", cluster.namespace, { metadata: { labels } });
    const program = () => {
      const containers = [{ name: "app", image: "x" }];
      new k8s.core.v1.Pod("pod", { metadata: metadata("pod"), spec: { containers } });
    };
    const output = await run.upFails(program);
    assert.match(output, /pods "pod" is forbidden: violates PodSecurity "restricted:latest"/);
  });

  it("waits for a service account's token", async () => {
    const program = () => {
      const account = new k8s.core.v1.ServiceAccount("ci", { metadata: metadata("ci") });
      const annotations = { "kubernetes.io/service-account.name": account.metadata.name };
      const secret = new k8s.core.v1.Secret("token", {
        metadata: { ...metadata("token"), annotations },
        type: "kubernetes.io/service-account-token",
      });
      return { token: secret.data["token"] };
    };
    const { token } = await run.up(program);
    const text = Buffer.from(String(token), "base64").toString();
    assert.match(text, /^ey[\w-]+\.[\w-]+\.[\w-]+$/);
    const stored = await run.stored();
    assert.ok(!stored.includes(String(token)) && !stored.includes(text));
  });

  it("imports an object by its id", async () => {
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: metadata("settings") };
    await cluster.make({ ...object, data: { a: "1" } });
    const id = `${cluster.namespace}/settings`;
    await run.up(() => void configMap({ a: "1" }, { import: id }));
    assert.equal((await run.resource("kubernetes:core/v1:ConfigMap")).id, id);
    assert.deepEqual(await run.preview(() => void configMap({ a: "1" })), []);
  });

  it("previews without a cluster, and says on an update that there is none", async () => {
    const program = () => {
      const kubeconfig = JSON.stringify({
        "current-context": "x",
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:1" } }],
      });
      const provider = new k8s.Provider("nowhere", { kubeconfig });
      new k8s.core.v1.ConfigMap("settings", {}, { provider });
    };
    await run.preview(program);
    const output = await run.upFails(program);
    assert.match(output, /the Kubernetes API server https:\/\/127\.0\.0\.1:1 cannot be reached/);
  });
});
