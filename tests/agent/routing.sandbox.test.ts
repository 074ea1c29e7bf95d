import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { ENVIRONMENT_LABEL } from "../../core/labels.ts";
import { describeEngine, eventually } from "./engine.ts";
import { type AgentStage, startStage } from "./stage.ts";

describeEngine("The agent's routing", () => {
  let stage: AgentStage;
  before(async () => {
    stage = await startStage();
  });
  after(() => stage.close());

  it("sends the lines of three projects and of the platform to their tenants", async () => {
    const projects = await Promise.all([stage.project(), stage.project(), stage.project()]);
    const plain = { namespace: stage.name("plain"), pod: "tool", container: "app" };
    await stage.cluster.namespace(plain.namespace);
    await stage.cluster.pod(plain.namespace, "tool");
    await stage.node.create(plain);
    const odd = { namespace: plain.namespace, pod: "odd", container: "app" };
    await stage.cluster.pod(plain.namespace, "odd", { [ENVIRONMENT_LABEL]: "not-a-tenant" });
    await stage.node.create(odd);
    for (const { tenant, log } of projects) await stage.node.write(log, [`of ${tenant}`]);
    await stage.node.write(plain, ["of nobody"]);
    await stage.node.write(odd, ["of a label that is none"]);

    await stage.engine.start();
    await eventually(() => stage.sink.taken.size === 4, { what: "four tenants" });
    for (const { tenant } of projects) {
      const [event] = stage.sink.taken.get(tenant) ?? [];
      assert.deepEqual(stage.sink.messages(tenant), [`of ${tenant}`]);
      assert.equal(event?.service, "shop");
      assert.equal(event?.environment, "staging");
    }
    const platform = stage.sink.taken.get(stage.platform) ?? [];
    assert.deepEqual(platform.map(({ message }) => message).toSorted(), [
      "of a label that is none",
      "of nobody",
    ]);
    const marked = platform.find(({ message }) => message.startsWith("of a label"));
    assert.equal(marked?.fields.k8s["malformed_environment"], "not-a-tenant");
  });

  it("trusts the namespace, not a pod that names another tenant", async () => {
    const { tenant, log } = await stage.project();
    const stranger = { ...log, pod: "stranger" };
    const victim = randomUUID();
    await stage.cluster.pod(log.namespace, "stranger", { [ENVIRONMENT_LABEL]: victim });
    await stage.node.create(stranger);
    await stage.node.write(stranger, ["into another's logs"]);
    await eventually(() => stage.sink.taken.has(tenant), { what: "the namespace's tenant" });
    assert.equal(stage.sink.taken.get(tenant)?.[0]?.fields.k8s["refused_environment"], victim);
    assert.equal(stage.sink.taken.has(victim), false);
  });

  it("uses the namespace for a pod that is gone before its labels are read", async () => {
    const { tenant, log } = await stage.project();
    const gone = { ...log, pod: "gone" };
    await stage.node.create(gone);
    await stage.node.write(gone, ["last words"]);
    await eventually(() => stage.sink.taken.has(tenant), { what: "the namespace's tenant" });
    assert.equal(stage.sink.taken.get(tenant)?.[0]?.fields.k8s["labels"], "namespace");
  });

  for (const end of ["kill", "stop"] as const) {
    it(`keeps lines while the API server is away, through a ${end}, and then sends them to their tenant`, async () => {
      const { tenant, log } = await stage.project();
      stage.cluster.cut();
      await stage.node.write(log, ["early"]);
      await eventually(
        async () =>
          (await stage.engine.metric("fluentbit_output_proc_records_total", 'name="held"')) > 0,
        { what: "a held line" },
      );
      await stage.engine[end]();
      await stage.engine.start();
      assert.equal(stage.sink.taken.has(tenant), false);
      stage.cluster.restore();
      await eventually(() => stage.sink.taken.has(tenant), { what: "the late line" });
      assert.deepEqual([...new Set(stage.sink.messages(tenant))], ["early"]);
      assert.equal(stage.sink.messages(stage.platform).includes("early"), false);
    });
  }

  it("stalls, including its uptime, while the API server does not answer, and then continues", async () => {
    const known = await stage.project();
    await stage.node.write(known.log, ["first"]);
    await eventually(() => stage.sink.taken.has(known.tenant), { what: "a pod that is known" });
    const { tenant, log } = await stage.project();
    stage.cluster.silence();
    await stage.node.write(log, ["early"]);
    await eventually(() => stage.cluster.connections() > 0, { what: "the question" });
    await stage.node.write(known.log, ["second"]);
    const uptime = () => stage.engine.metric("fluentbit_uptime");
    await sleep(2_000); // outlasts values scraped earlier
    const before = await uptime();
    await sleep(5_000);
    assert.equal(await uptime(), before);
    assert.ok(before > 0);
    stage.cluster.restore();
    await eventually(() => stage.sink.taken.has(tenant), { what: "the late line" });
    await eventually(() => stage.sink.messages(known.tenant).length === 2);
    assert.deepEqual(stage.sink.messages(tenant), ["early"]);
    assert.equal(stage.sink.messages(stage.platform).includes("early"), false);
  });
});
