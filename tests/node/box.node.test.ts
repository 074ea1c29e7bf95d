import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { execa } from "execa";
import { skipWithoutNode } from "../support/node.ts";
import { nothingIsLeft, type RealSandbox, startRealSandbox } from "../support/real-sandbox.ts";

/** Settings of the whole machine that a node would change. */
const SETTINGS = [
  "kernel/hostname",
  "kernel/panic",
  "kernel/panic_on_oops",
  "net/ipv4/ip_forward",
  "vm/overcommit_memory",
  "vm/panic_on_oom",
];

/** What a node changes on a machine that it has for itself. */
async function machine() {
  const settings = SETTINGS.map((name) => readFileSync(`/proc/sys/${name}`, "utf8"));
  const { stdout: rules } = await execa("nft", ["list", "ruleset"]);
  const folders = ["/var/lib", "/var/log", "/run", "/etc", "/opt"].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /cni|citadel|container|kube|netns|pods|runc/.test(name))
      .map((name) => `${folder}/${name}`),
  );
  return { settings, rules, folders };
}

describe("the box of a real node", () => {
  let before_: Awaited<ReturnType<typeof machine>>;
  let first: RealSandbox;
  let second: RealSandbox;

  before(async function () {
    await skipWithoutNode(this);
    // Builds and installs what is missing, before the machine is looked at.
    const built = await startRealSandbox();
    built.child.kill("SIGTERM");
    await once(built.child, "exit");
    before_ = await machine();
    [first, second] = await Promise.all([startRealSandbox(), startRealSandbox()]);
  });
  after(() => {
    for (const sandbox of [first, second]) sandbox?.child.kill("SIGKILL");
  });

  /** Every pod on the sandbox's node is Ready. */
  async function podsAreReady({ env }: RealSandbox): Promise<void> {
    const cluster = new KubeConfig();
    cluster.loadFromFile(env["KUBECONFIG"] ?? "");
    const { items } = await cluster.makeApiClient(CoreV1Api).listPodForAllNamespaces();
    assert.equal(items.length, 4);
    for (const { metadata, status } of items) {
      const ready = status?.conditions?.find(({ type }) => type === "Ready");
      assert.equal(ready?.status, "True", metadata?.name);
    }
  }

  it("runs twice on one machine, with names and addresses of its own", async () => {
    assert.notEqual(first.link.name, second.link.name);
    assert.notEqual(first.link.node, second.link.node);
    for (const { processes } of [first, second]) {
      // The control plane's 4, containerd, kubelet, kube-proxy, and 3 for each of the 4 pods.
      assert.ok(processes.size > 18, `${processes.size} processes`);
    }
    await Promise.all([podsAreReady(first), podsAreReady(second)]);
  });

  it("changes no setting, firewall rule or system folder of the machine", async () => {
    assert.deepEqual(await machine(), before_);
  });

  it("leaves nothing when it is stopped, and no trace on the other", async () => {
    first.child.kill("SIGTERM");
    await once(first.child, "exit");
    await nothingIsLeft(first);
    await podsAreReady(second);
  });

  it("leaves nothing when its parent is killed", async () => {
    second.child.kill("SIGKILL");
    await once(second.child, "exit");
    await nothingIsLeft(second);
    assert.deepEqual(await machine(), before_);
  });
});
