import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { workerEnvironment } from "../../automation/worker/environment.ts";
import { SERVICE_CONFIG } from "../../sandbox/service-image/layout.ts";
import { podOf, type PodSpec, RECIPIENT, run, SERVICE } from "../support/service-program.ts";

/** The certificate of a private authority. It expires in 2126. */
const AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBgjCCASigAwIBAgIUBS+LT9hBYJUed5SscygGR3TFpmQwCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTQSBwcml2YXRlIGF1dGhvcml0eTAgFw0yNjExMjcwNTU2MTha
GA8yMTI2MTEwMzA1NTYxOFowHjEcMBoGA1UEAwwTQSBwcml2YXRlIGF1dGhvcml0
eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABC2S3GEBNyNnbHlfTIzjUKJBnhkx
EzslFpW5gvXickuoJ18sbX4e6KAAr26rU433CxiKueApTotIVANCDe2yGaajQjBA
MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMB0GA1UdDgQWBBR9XSTT
5hxS9lPhzBSsGoAy2pba0DAKBggqhkjOPQQDAgNIADBFAiEAnTTZL1XexvDEhfE4
Zz8UQQCMCo+CkNLGSc6ukdtJIP4CIEvMWxLFn38HaXuH5HuEQrxHWV584HWgaffD
tZWYHZa2
-----END CERTIFICATE-----
`;

describe("the service in the platform's stack", () => {
  it("is not there without the setting, and then nothing else differs", async () => {
    const [without, withService] = [await run(undefined), await run(SERVICE)];
    const keys = ({ all }: typeof without) => all.map(({ type, name }) => `${type} ${name}`);
    const added = keys(withService).filter((key) => !keys(without).includes(key));
    assert.deepEqual(
      keys(without).filter((key) => !keys(withService).includes(key)),
      [],
    );
    for (const key of added) assert.match(key, / (service|control-plane)/);
    const claim = without.one("kubernetes:ClusterClaim").inputs;
    assert.deepEqual(claim["clusterRoles"], ["rdev-infra:citadel-agent"]);
    assert.equal(claim["kinds"], undefined);
    // Projects read the outputs, also with an older version.
    assert.deepEqual(withService.result, without.result);
  });

  it("runs two replicas of the image, apart, without root, on a read-only root file system", async () => {
    const { one } = await run(SERVICE);
    const deployment = one("kubernetes:apps/v1:Deployment");
    const spec = deployment.inputs["spec"] as { replicas: number; strategy: object };
    assert.equal(spec.replicas, 2);
    assert.deepEqual(spec.strategy, {
      type: "RollingUpdate",
      rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
    });
    const pod = podOf(deployment);
    const [container] = pod.containers;
    assert.equal(container.image, SERVICE.image);
    assert.deepEqual(pod.securityContext, {
      runAsNonRoot: true,
      runAsUser: 65_532,
      seccompProfile: { type: "RuntimeDefault" },
      fsGroup: 65_532,
    });
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    assert.match(JSON.stringify(pod), /podAntiAffinity.*kubernetes\.io\/hostname/);
    const budget = one("kubernetes:policy/v1:PodDisruptionBudget").inputs["spec"];
    assert.equal((budget as { maxUnavailable: number }).maxUnavailable, 1);
  });

  it("can write to the volumes of the image, and to nothing else", async () => {
    const { one } = await run(SERVICE);
    for (const type of ["kubernetes:apps/v1:Deployment", "kubernetes:batch/v1:Job"]) {
      const { containers, volumes } = podOf(one(type));
      const { volumeMounts } = containers[0];
      assert.deepEqual(
        volumeMounts.map(({ mountPath }) => mountPath).sort(),
        [...SERVICE_CONFIG.volumes].sort(),
      );
      assert.deepEqual(
        volumes,
        volumeMounts.map(({ name }) => ({ name, emptyDir: {} })),
      );
    }
  });

  it("ends later than the service needs to complete or hand back its operations", async () => {
    const { one } = await run(SERVICE);
    const pod = podOf(one("kubernetes:apps/v1:Deployment"));
    const number = async (file: string, pattern: RegExp) => {
      const text = await readFile(new URL(`../../${file}`, import.meta.url), "utf8");
      return Number(pattern.exec(text)?.[1]?.replaceAll("_", ""));
    };
    const drain = [
      await number("cli/commands/service.ts", /SHUTDOWN_GRACE_MS = ([\d_]+)/),
      await number("automation/operations/execution.ts", /HAND_BACK_GRACE = ([\d_]+)/),
      await number("automation/service/options.ts", /shutdownGraceMs: ([\d_]+)/),
      await number("components/control-plane/pods.ts", /PRE_STOP_S = (\d+)/).then((s) => s * 1000),
    ].reduce((sum, ms) => sum + ms);
    assert.ok(drain >= 40_000, String(drain));
    assert.ok(pod.terminationGracePeriodSeconds * 1000 > drain, String(drain));
  });

  it("trusts private authorities besides the public ones, in every pod", async () => {
    const backup = { recipients: [RECIPIENT] };
    const { one } = await run({ ...SERVICE, certificateAuthorities: AUTHORITY, backup });
    const { data } = one("kubernetes:core/v1:ConfigMap", "control-plane-authorities").inputs;
    assert.deepEqual(data, { "ca.crt": AUTHORITY });
    const job = one("kubernetes:batch/v1:CronJob").inputs["spec"] as {
      jobTemplate: { spec: { template: { spec: PodSpec } } };
    };
    for (const { containers, volumes } of [
      podOf(one("kubernetes:apps/v1:Deployment")),
      podOf(one("kubernetes:batch/v1:Job")),
      job.jobTemplate.spec.template.spec,
    ]) {
      const [{ env = [], volumeMounts }] = containers;
      const { mountPath = "" } = volumeMounts.find(({ name }) => name === "authorities") ?? {};
      const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]));
      assert.equal(variables["NODE_EXTRA_CA_CERTS"], `${mountPath}/ca.crt`);
      const needed = workerEnvironment("mark", 100, variables);
      for (const name of ["SSL_CERT_DIR", "GIT_SSL_CAPATH"]) {
        assert.equal(variables[name], mountPath);
        assert.equal(needed[name], mountPath, "a worker gets it, too");
      }
      assert.ok(volumes.some(({ name }) => name === "authorities"));
    }
  });

  it("refuses authorities that are none, and private keys beside them", async () => {
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const key = "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n";
    for (const [text, problem] of [
      ["", /has no certificate in PEM/],
      [AUTHORITY + broken, /has a malformed certificate, number 2/],
      [AUTHORITY + key, /holds a private key/],
    ] as const) {
      await assert.rejects(
        run({ ...SERVICE, certificateAuthorities: text }),
        (error: Error) => problem.test(error.message) && !error.message.includes("planted"),
      );
    }
  });

  it("is pulled with an account of its own, which no pod gets to know", async () => {
    const account = {
      RDEV_INFRA_PULL_USERNAME: "puller",
      RDEV_INFRA_PULL_PASSWORD: "planted-pull",
    };
    const { one, byType } = await run(SERVICE, account);
    const secret = one("kubernetes:core/v1:Secret", "control-plane-registry").inputs;
    assert.equal(secret["type"], "kubernetes.io/dockerconfigjson");
    const data = secret["stringData"] as Record<string, string>;
    const { auths } = JSON.parse(data[".dockerconfigjson"] ?? "") as { auths: object };
    assert.deepEqual(Object.keys(auths), ["registry.example.test"]);
    for (const type of ["kubernetes:apps/v1:Deployment", "kubernetes:batch/v1:Job"]) {
      assert.deepEqual(podOf(one(type)).imagePullSecrets, [{ name: "registry-pull" }]);
    }
    const others = byType("kubernetes:core/v1:Secret").filter(
      ({ name }) => name !== "control-plane-registry",
    );
    assert.ok(others.length >= 2);
    assert.doesNotMatch(JSON.stringify(others), /planted-pull/);
    const without = podOf((await run(SERVICE)).one("kubernetes:apps/v1:Deployment"));
    assert.ok(!("imagePullSecrets" in without));
  });
});
