import assert from "node:assert/strict";
import { parse } from "yaml";
import { parsePlatformConfig } from "../../core/settings.ts";
import { PLATFORM } from "../support/platform.ts";
import { podOf, type PodSpec, RECIPIENT, run, SERVICE } from "../support/service-program.ts";

describe("the database of the service in the platform's stack", () => {
  it("migrates the database before each version, with a password that the service does not get", async () => {
    const names = new Set<string>();
    for (const image of [SERVICE.image, SERVICE.image, "registry.example.test/rdev-infra:1.2.4"]) {
      const { one, all } = await run({ ...SERVICE, image });
      const job = one("kubernetes:batch/v1:Job");
      names.add((job.inputs["metadata"] as { name: string }).name);
      const pod = podOf(job);
      assert.equal(pod.automountServiceAccountToken, false);
      assert.match(
        String(pod.containers[0].envFrom[0]?.secretRef.name),
        /^control-plane-migration/,
      );
      const order = all.map(({ type }) => type);
      assert.ok(
        order.indexOf("kubernetes:batch/v1:Job") < order.indexOf("kubernetes:apps/v1:Deployment"),
      );
      const secret = one("kubernetes:core/v1:Secret", "control-plane-migration");
      assert.deepEqual(Object.keys(secret.inputs["stringData"] as object).sort(), [
        "DATABASE_OWNER_URL",
        "DATABASE_URL",
      ]);
    }
    assert.equal(names.size, 2);
  });

  it("starts a migration that failed again with the next up", async () => {
    const { one } = await run(SERVICE);
    const { annotations } = one("kubernetes:batch/v1:Job").inputs["metadata"] as {
      annotations: Record<string, string>;
    };
    assert.deepEqual(annotations, { "pulumi.com/replaceUnready": "true" });
  });

  it("backs up to a volume of its own at the time that the settings say, and only if they do", async () => {
    const type = "kubernetes:batch/v1:CronJob";
    assert.deepEqual((await run(SERVICE)).byType(type), []);
    const backup = { recipients: [RECIPIENT], schedule: "5 4 * * 0", keep: 3, storageClass: "nfs" };
    const { one } = await run({ ...SERVICE, backup });
    const { schedule, jobTemplate } = one(type).inputs["spec"] as {
      schedule: string;
      jobTemplate: { spec: { template: { spec: PodSpec } } };
    };
    assert.equal(schedule, backup.schedule);
    const pod = jobTemplate.spec.template.spec;
    assert.equal(pod.automountServiceAccountToken, false);
    const [container] = pod.containers;
    assert.deepEqual(container.args, [
      ...["backup", "--to", "/backups", "--keep", "3", "--json"],
      ...["--recipient", RECIPIENT],
    ]);
    assert.ok(container.volumeMounts.some(({ mountPath }) => mountPath === "/backups"));
    // The variables of the service, so not the owner of the tables.
    assert.match(String(container.envFrom[0]?.secretRef.name), /^control-plane-variables/);
    const claim = one("kubernetes:core/v1:PersistentVolumeClaim").inputs["spec"];
    assert.deepEqual(claim, {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "10Gi" } },
      storageClassName: "nfs",
    });
  });

  it("backs up the settings that a restored platform needs", async () => {
    const service = { ...SERVICE, backup: { recipients: [RECIPIENT] } };
    const { one, all } = await run(service);
    const secret = one("kubernetes:core/v1:Secret", "control-plane-platform-settings");
    assert.deepEqual(secret.secrets, ["stringData"]);
    const [[name, text] = ["", ""], ...others] = Object.entries(
      secret.inputs["stringData"] as Record<string, string>,
    );
    assert.deepEqual([name, others], ["Pulumi.staging.yaml", []]);
    const { config } = parse(text) as { config: Record<string, unknown> };
    assert.deepEqual(config["rdev:service"], service);
    const settings = (values: Record<string, unknown>) =>
      parsePlatformConfig(
        Object.fromEntries(
          Object.entries(values).map(([key, value]) => [
            key.replace(/^rdev:/, ""),
            typeof value === "string" ? value : JSON.stringify(value),
          ]),
        ),
      );
    assert.deepEqual(settings(config), settings({ ...PLATFORM, service: JSON.stringify(service) }));
    const { jobTemplate } = one("kubernetes:batch/v1:CronJob").inputs["spec"] as {
      jobTemplate: { spec: { template: { spec: PodSpec } } };
    };
    const [container] = jobTemplate.spec.template.spec.containers;
    const mount = container.volumeMounts.find(({ name: volume }) => volume === "settings");
    assert.deepEqual(mount, {
      name: "settings",
      mountPath: "/app/Pulumi.staging.yaml",
      subPath: "Pulumi.staging.yaml",
      readOnly: true,
    });
    assert.ok(!all.some(({ inputs }) => "data" in inputs && JSON.stringify(inputs).includes(text)));
  });

  it("leaves the database alone without the owner's password", async () => {
    const { byType } = await run(SERVICE, { DATABASE_OWNER_URL: undefined });
    assert.deepEqual(byType("kubernetes:batch/v1:Job"), []);
    assert.equal(byType("kubernetes:apps/v1:Deployment").length, 1);
  });
});
