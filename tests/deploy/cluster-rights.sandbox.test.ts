import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  CoreV1Api,
  KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  RbacAuthorizationV1Api,
} from "@kubernetes/client-node";
import { parseAllDocuments } from "yaml";
import { diagnose } from "../../automation/doctor/doctor.ts";
import { destroy, up } from "../../automation/engine/stack.ts";
import { migrate } from "../../automation/store/migrate.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { runCli } from "../cli/run-cli.ts";
import { GiteaPeople } from "../support/gitea-people.ts";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { destroyLeftProjects } from "../support/left-projects.ts";
import { rightsFile, rightsStatements } from "../support/rights.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { placeOf, platformStage, succeeded } from "../support/stage.ts";
import { leftOnServers } from "../../sandbox/proofs/left-on-servers.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { variable, withVariables } from "../support/variables.ts";

describe("the rights in deploy/rights", function () {
  this.timeout(600_000);
  const database = "least_infra";
  const roles = ["least_admin", "least_owner", "least_service"];
  const password = randomBytes(12).toString("hex");
  const people = new GiteaPeople();
  let least: Record<string, string>;

  const admin = () => variable("POSTGRES_ADMIN_URL");
  const as = (role: string, name = "postgres") => {
    const url = new URL(admin());
    [url.username, url.password, url.pathname] = [role, password, `/${name}`];
    return url.href;
  };
  const objects = async () =>
    parseAllDocuments(await rightsFile("kubernetes.yaml")).map(
      (each) => each.toJS() as KubernetesObject,
    );
  const api = () => kubeConfig(runningSandbox()).makeApiClient(KubernetesObjectApi);

  before(async () => {
    // As an administrator: what the files say, with passwords.
    for (const object of await objects()) await api().create(object);
    const account = { namespace: "rdev-infra", name: "rdev-infra" };
    const core = kubeConfig(runningSandbox()).makeApiClient(CoreV1Api);
    const { status } = await core.createNamespacedServiceAccountToken({
      ...account,
      body: { spec: { audiences: ["https://kubernetes.default.svc"], expirationSeconds: 7200 } },
    });
    for (const statement of [
      ...(await rightsStatements("projects.sql")),
      ...(await rightsStatements("service.sql")),
      ...roles.map((role) => `ALTER ROLE ${role} PASSWORD '${password}'`),
    ]) {
      await queryOnce(admin(), statement);
    }
    await migrate({ ownerUrl: as("least_owner", database), serviceRole: "least_service" });
    const person = await people.add("owner", "write:organization", "write:repository");
    const token = variable("GITEA_TOKEN");
    const teams = await GiteaPeople.ok<{ id: number; name: string }[]>(
      "GET",
      "/orgs/projects/teams",
      token,
    );
    const owners = teams.find(({ name }) => name === "Owners");
    await GiteaPeople.ok("PUT", `/teams/${owners?.id}/members/${person.name}`, token);
    least = {
      KUBECONFIG: await writeKubeconfig({ token: status?.token ?? "" }),
      POSTGRES_ADMIN_URL: as("least_admin"),
      DATABASE_URL: as("least_service", database),
      GITEA_TOKEN: person.token,
    };
  });
  after(async () => {
    await people.remove();
    await queryOnce(admin(), `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    for (const role of roles) {
      for (const statement of [`DROP OWNED BY ${role}`, `DROP ROLE ${role}`]) {
        await queryOnce(admin(), statement);
      }
    }
    for (const object of (await objects()).reverse()) await api().delete(object);
  });

  it("are enough for a platform and a project, from the first up to the destroy, and for doctor", async () => {
    const { settings, workDir } = await platformStage();
    const slug = uniqueSlug();
    const project = `${PLATFORM}.${slug}`;
    // The run's platform was brought up with all rights. It is not destroyed while it has projects.
    await destroyLeftProjects(workDir);
    succeeded(await destroy(PLATFORM, { workDir }));
    try {
      await withVariables(least, async () => {
        succeeded(await up(PLATFORM, { workDir }));
        const { code, stderr } = await runCli(["up", project, "--yes", "--work-dir", workDir]);
        assert.equal(code, 0, stderr);
        // An update, with a replaced object and a changed size.
        succeeded(
          await up(project, { workDir, config: { sizes: { replicas: 2, memoryLimit: "128Mi" } } }),
        );
        const found = await diagnose({ platform: PLATFORM, workDir, deadline: 120_000 });
        assert.deepEqual(
          found.filter(({ status }) => status === "failed").map(({ check }) => check),
          ["loopback", "ingress class"],
          JSON.stringify(found, undefined, 1),
        );
        succeeded(await destroy(project, { workDir, remove: true }));
        succeeded(await destroy(PLATFORM, { workDir }));
      });
      assert.deepEqual(await leftOnServers(placeOf(settings, slug)), []);
    } finally {
      succeeded(await up(PLATFORM, { workDir }));
    }
  });

  it("permit nothing more in the cluster: no escalation, no pods, no nodes, no foreign roles", async () => {
    const config = new KubeConfig();
    config.loadFromFile(least["KUBECONFIG"] ?? "");
    const rbac = config.makeApiClient(RbacAuthorizationV1Api);
    const core = config.makeApiClient(CoreV1Api);
    const metadata = { name: "planted" };
    const roleRef = {
      apiGroup: "rbac.authorization.k8s.io",
      kind: "ClusterRole",
      name: "cluster-admin",
    };
    const subjects = [{ kind: "ServiceAccount", name: "rdev-infra", namespace: "rdev-infra" }];
    const attempts: readonly (() => Promise<unknown>)[] = [
      () => rbac.createClusterRoleBinding({ body: { metadata, roleRef, subjects } }),
      () =>
        rbac.createClusterRole({
          body: { metadata, rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }] },
        }),
      () =>
        rbac.createNamespacedRole({
          namespace: "default",
          body: {
            metadata,
            rules: [{ apiGroups: [""], resources: ["pods/exec"], verbs: ["create"] }],
          },
        }),
      () => rbac.readClusterRole({ name: "cluster-admin" }),
      () => rbac.deleteClusterRole({ name: "rdev-infra" }),
      () => core.listNode(),
      () => core.listNamespace(),
      () =>
        core.createNamespacedPod({
          namespace: "default",
          body: { metadata, spec: { containers: [{ name: "c", image: "i" }] } },
        }),
      () => core.deleteCollectionNamespacedSecret({ namespace: "default" }),
      () =>
        core.createNamespacedServiceAccountToken({
          namespace: "kube-system",
          name: "default",
          body: { spec: { audiences: [] } },
        }),
    ];
    for (const attempt of attempts) {
      await assert.rejects(
        attempt(),
        (error: { code?: number }) => error.code === 403,
        attempt.toString(),
      );
    }
  });
});
