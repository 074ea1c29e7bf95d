import assert from "node:assert/strict";
import {
  DEFAULT_BLOCK,
  findings,
  parseBlockRules,
  POLICIES,
} from "../../../core/previews/policies.ts";
import { SETTINGS_RECORD } from "../../../core/recorded-settings.ts";
import type { Step } from "../../../core/previews/step.ts";
import { DATABASE, DEPLOYMENT, SECRET, step, UNKNOWN } from "./steps.ts";

const TOKEN = "planted-token-4711";
const REPOSITORY = "pulumi-nodejs:dynamic/gitea:Repository";
const LABELS = { "citadel.io/environment": "e", "citadel.io/service": "shop" };
const LIMITS = { cpu: "1", memory: "1Gi" };

function judged(only: Step, block = DEFAULT_BLOCK, isProject = true) {
  const context = { secrets: [TOKEN], isProject, rules: parseBlockRules(block) };
  return findings([only], context).map(({ rule, blocks }) => (blocks ? `${rule}!` : rule));
}

const pod = (labels: unknown = LABELS, limits: unknown = LIMITS) => ({
  metadata: { labels },
  spec: { containers: [{ name: "app", resources: { limits } }] },
});
const deployment = (template: unknown) =>
  step(DEPLOYMENT, "create", undefined, { spec: { template } });

describe("policies", () => {
  it("block the loss of a Database or a GitRepo, unless it is retained", () => {
    const kept = { retain: true };
    assert.deepEqual(judged(step(DATABASE, "delete", { retain: false })), ["database-lost!"]);
    assert.deepEqual(judged(step(DATABASE, "replace", {}, {})), ["database-lost!"]);
    assert.deepEqual(judged(step(DATABASE, "delete", kept)), []);
    assert.deepEqual(judged(step(REPOSITORY, "delete-replaced", {})), ["repository-lost!"]);
    assert.deepEqual(judged(step(REPOSITORY, "delete", kept)), []);
    assert.deepEqual(judged(step(DATABASE, "update", {}, { size: 1 })), []);
  });

  it("name the settings that the config would change, and block if asked to", () => {
    const record = (op: string, settings: object, before?: object) =>
      step(SETTINGS_RECORD, op, before && { settings: before }, { settings });
    const changed = {
      ...record("update", { sizes: { replicas: 1 } }, { sizes: { replicas: 3 }, retainData: true }),
      custom: false,
    };
    assert.deepEqual(judged(changed), ["settings-changed"]);
    assert.deepEqual(judged(changed, "settings-changed"), ["settings-changed!"]);
    const context = { secrets: [], isProject: true, rules: parseBlockRules("none") };
    const [{ message } = { message: "" }] = findings([changed], context);
    assert.ok(message.includes("retainData: true → the default, sizes.replicas: 3 → 1"), message);
    assert.deepEqual(judged({ ...record("create", {}), custom: false }), []);
  });

  it("find a secret in plain text by its name or its value", () => {
    const judgedUpdate = (inputs: Record<string, unknown>) =>
      judged(step("x:y:Z", "update", {}, inputs));
    assert.deepEqual(judgedUpdate({ password: "hunter2" }), ["plain-secret!"]);
    assert.deepEqual(judgedUpdate({ deep: [{ text: `Bearer ${TOKEN}` }] }), ["plain-secret!"]);
    assert.deepEqual(judgedUpdate({ env: [{ name: "API_KEY", value: "x" }] }), ["plain-secret!"]);
    assert.deepEqual(judgedUpdate({ url: "redis://a:secret@host" }), ["plain-secret!"]);
    assert.deepEqual(
      judgedUpdate({
        password: SECRET,
        token: UNKNOWN,
        secretName: "x",
        tokenExpiry: 5,
        secret: "",
      }),
      [],
    );
    const data = { stringData: { anything: "x" } };
    assert.deepEqual(judged(step("kubernetes:core/v1:Secret", "create", undefined, data)), [
      "plain-secret!",
    ]);
  });

  it("describe a finding without its secret", () => {
    const context = { secrets: [TOKEN], isProject: true, rules: parseBlockRules("none") };
    const found = findings([step("x:y:Z", "update", {}, { a: TOKEN, [TOKEN]: TOKEN })], context);
    assert.equal(found.length, 2);
    assert.doesNotMatch(JSON.stringify(found), /planted/);
  });

  it("find a project's pod without its labels in every kind of workload", () => {
    const bare = pod({});
    assert.deepEqual(judged(deployment(bare)), ["unlabelled-pod"]);
    assert.deepEqual(judged(deployment(pod({ "citadel.io/service": "x" }))), ["unlabelled-pod"]);
    const cron = { spec: { jobTemplate: { spec: { template: bare } } } };
    assert.deepEqual(judged(step("kubernetes:batch/v1:CronJob", "create", undefined, cron)), [
      "unlabelled-pod",
    ]);
    assert.deepEqual(judged(step("kubernetes:core/v1:Pod", "create", undefined, bare)), [
      "unlabelled-pod",
    ]);
    assert.deepEqual(judged(deployment(bare), DEFAULT_BLOCK, false), []);
    assert.deepEqual(judged(deployment(pod(UNKNOWN))), []);
    assert.deepEqual(judged(deployment(pod())), []);
  });

  it("find a container without a limit", () => {
    assert.deepEqual(judged(deployment(pod(LABELS, { cpu: "1" }))), ["unlimited-container"]);
    assert.deepEqual(judged(deployment(pod(LABELS, null))), ["unlimited-container"]);
    assert.deepEqual(judged(deployment(pod(LABELS, UNKNOWN))), []);
  });

  it("ignore unchanged resources", () => {
    assert.deepEqual(judged(step(DEPLOYMENT, "same", {}, { spec: { template: pod({}, {}) } })), []);
  });
});

describe("block rules", () => {
  it("accept policies, and operations on types in full, short or by the last part", () => {
    const gone = step("kubernetes:networking.k8s.io/v1:Ingress", "delete", {});
    for (const type of [
      "Ingress",
      "kubernetes:Ingress",
      "kubernetes:networking.k8s.io/v1:Ingress",
    ]) {
      assert.deepEqual(judged(gone, `delete:${type}`), [`delete:${type}!`]);
    }
    assert.deepEqual(judged(gone, "replace:Ingress, delete:Service"), []);
    assert.deepEqual(judged(deployment(pod({})), "unlabelled-pod"), ["unlabelled-pod!"]);
    assert.deepEqual(judged(step(DATABASE, "delete", {}), "none"), ["database-lost"]);
  });

  it("refuse anything else, and list the valid rules", () => {
    for (const text of ["database", "", "explode:Database", "none,plain-secret"]) {
      assert.throws(() => parseBlockRules(text), {
        code: "RDEV_SETTINGS",
        message: new RegExp(Object.keys(POLICIES).join(", ")),
      });
    }
  });
});
