import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CoreV1Api, NetworkingV1Api } from "@kubernetes/client-node";
import { Redis } from "ioredis";
import { type Diagnosis, diagnose } from "../../automation/doctor/doctor.ts";
import { checks as giteaChecks } from "../../providers/gitea/checks.ts";
import { Gitea } from "../../providers/gitea/client.ts";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { PLATFORM, sandboxPlatform } from "../../sandbox/platform.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { runCli } from "../cli/run-cli.ts";
import { type FaultyProxy, startFaultyProxy } from "../support/faulty-proxy.ts";
import { GiteaPeople, type Person } from "../support/gitea-people.ts";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { ownPlatform } from "../support/own-platform.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { platformStage } from "../support/stage.ts";
import { variable, withVariables } from "../support/variables.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** In ms. The machine of the tests may be busy. */
const PATIENCE = 120_000;

const OPTIONS = ["--deadline", String(PATIENCE / 1000), "--work-dir"];

/** The requests that may change something by their method, and change nothing here. */
const HARMLESS = [
  /^POST \/apis\/authorization\.k8s\.io\/v1\/selfsubjectaccessreviews$/,
  // No object can have these names.
  /^PATCH \/api\/v1\/repos\/projects\/-$/,
  /^DELETE \/api\/v1\/orgs\/projects\/actions\/variables\/-$/,
  /^DELETE \/v2\/rdev-infra\/doctor\/manifests\/sha256:0{64}$/,
];

describe("rdev-infra doctor", function () {
  this.timeout(200_000);
  const name = `doctor-${randomBytes(4).toString("hex")}`;
  let workDir: string;

  before(async () => void ({ workDir } = await platformStage()));

  const networking = () => kubeConfig(runningSandbox()).makeApiClient(NetworkingV1Api);
  const core = () => kubeConfig(runningSandbox()).makeApiClient(CoreV1Api);
  const asked = (variables: Variables = {}, deadline = PATIENCE) =>
    withVariables(variables, () => diagnose({ platform: PLATFORM, workDir, deadline }));
  const one = (all: readonly Diagnosis[], system: string, check: string) => {
    const found = all.find((each) => each.system === system && each.check.includes(check));
    assert.ok(found, `${system} ${check} in ${JSON.stringify(all, undefined, 1)}`);
    return found;
  };
  const failures = (all: readonly Diagnosis[]) =>
    all.filter(({ status }) => status === "failed").map((each) => `${each.system} ${each.check}`);

  it("finds what the sandbox lacks, says what to do, and exits with 1", async () => {
    const { code, stdout } = await runCli(["doctor", PLATFORM, ...OPTIONS, workDir]);
    assert.equal(code, 1, stdout);
    assert.match(stdout, /✗ ingress class: there is no IngressClass traefik.*\n {4}→ Install/);
    // The sandbox's servers listen on 127.0.0.1, and its simulated pods do not mind.
    assert.match(
      stdout,
      /✗ loopback: the projects' pods would get 127\.0\.0\.1 from POSTGRES_ADMIN_URL/,
    );
    assert.match(stdout, /✔ rights: all \d+ of deploy\/rights\/kubernetes\.yaml/);
    assert.match(stdout, /\d+ ok, \d+ warnings?, 2 failed, \d+ skipped in /);
    for (const secret of ["GITEA_TOKEN", "CITADEL_API_KEY", "REGISTRY_PASSWORD"]) {
      assert.ok(!stdout.includes(variable(secret)));
    }
  });

  it("prints each check as JSON, and finds the ingress class that exists", async () => {
    await networking().createIngressClass({
      body: { metadata: { name: "traefik" }, spec: { controller: "example.test/none" } },
    });
    try {
      const { stdout } = await runCli(["doctor", PLATFORM, "--json", ...OPTIONS, workDir]);
      const all = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Diagnosis);
      assert.deepEqual(failures(all), ["Addresses loopback"]);
      assert.equal(one(all, "Kubernetes", "ingress class").status, "ok");
      for (const system of ["Gitea", "Woodpecker", "Registry", "Citadel", "PostgreSQL"]) {
        assert.equal(one(all, system, "clock").status, "ok", system);
      }
      // PowerDNS does not tell its time.
      assert.equal(one(all, "DNS", "clock").status, "skipped");
    } finally {
      await networking().deleteIngressClass({ name: "traefik" });
    }
  });

  it("checks nothing that needs settings without a platform, and refuses a project", async () => {
    const all = await diagnose({ workDir, deadline: PATIENCE });
    assert.equal(one(all, "Gitea", "token").status, "skipped");
    assert.equal(one(all, "Kubernetes", "version").status, "ok");
    assert.equal((await runCli(["doctor", "staging.my-app"])).code, 2);
  });

  it("only reads: from every server, also with rights to change it", async () => {
    const url = (from: string) => variable(from);
    const servers = ["GITEA_URL", "WOODPECKER_URL", "POWERDNS_URL", "REGISTRY_URL", "CITADEL_URL"];
    const proxies = new Map<string, FaultyProxy>();
    for (const each of servers) proxies.set(each, await startFaultyProxy(url(each)));
    const api = kubeConfig(runningSandbox()).getCurrentCluster()?.server ?? "";
    const kubernetes = await startFaultyProxy(api);
    const snapshot = async () => {
      const redis = new Redis(variable("REDIS_ADMIN_URL"));
      const users = await redis.call("ACL", "LIST");
      const keys = await redis.dbsize();
      redis.disconnect();
      const postgres = await queryOnce(
        variable("POSTGRES_ADMIN_URL"),
        `SELECT rolname, rolpassword, shobj_description(oid, 'pg_authid') FROM pg_authid
         UNION ALL SELECT datname, datacl::text, shobj_description(oid, 'pg_database') FROM pg_database
         ORDER BY 1, 2`,
      );
      return { users, keys, postgres };
    };
    const before = await snapshot();
    const readOnly = new URL(variable("DATABASE_URL"));
    readOnly.searchParams.set("options", "-c default_transaction_read_only=on");
    try {
      const all = await asked({
        ...Object.fromEntries([...proxies].map(([each, proxy]) => [each, proxy.url])),
        KUBECONFIG: await writeKubeconfig({ server: kubernetes.url }),
        DATABASE_URL: readOnly.href,
      });
      assert.deepEqual(failures(all), ["Addresses loopback", "Kubernetes ingress class"]);
      const requests = [...proxies.values(), kubernetes].flatMap((each) => [...each.requests]);
      assert.ok(requests.length > 100, String(requests.length));
      const changing = requests.filter((each) => !/^(GET|HEAD) /.test(each));
      assert.deepEqual(
        changing.filter((each) => !HARMLESS.some((pattern) => pattern.test(each))),
        [],
      );
      assert.ok(HARMLESS.every((pattern) => changing.some((each) => pattern.test(each))));
      assert.deepEqual(await snapshot(), before);
    } finally {
      for (const proxy of [...proxies.values(), kubernetes]) await proxy.close();
    }
  });

  it("names every right that an account lacks, and what it may not read is skipped", async () => {
    const namespace = "default";
    await core().createNamespacedServiceAccount({ namespace, body: { metadata: { name } } });
    try {
      const { status } = await core().createNamespacedServiceAccountToken({
        namespace,
        name,
        body: { spec: { audiences: ["https://kubernetes.default.svc"] } },
      });
      const all = await asked({
        KUBECONFIG: await writeKubeconfig({ token: status?.token ?? "" }),
      });
      const rights = one(all, "Kubernetes", "rights");
      assert.equal(rights.status, "failed");
      assert.match(rights.found, /get, create, patch, delete namespaces; /);
      assert.match(rights.found, /create clusterroles\.rbac\.authorization\.k8s\.io; /);
      assert.match(rights.found, /delete clusterroles\.rbac\S* rdev-infra:citadel-agent/);
      assert.match(rights.todo ?? "", /deploy\/rights\/kubernetes\.yaml/);
      assert.equal(one(all, "Kubernetes", "ingress class").status, "skipped");
      assert.equal(one(all, "Kubernetes", "refusals").status, "skipped");
    } finally {
      await core().deleteNamespacedServiceAccount({ namespace, name });
    }
  });

  it("finds a Gitea token without the scopes or the organization, and a role without rights", async () => {
    const people = new GiteaPeople();
    const role = `doctor_${randomBytes(4).toString("hex")}`;
    const password = randomBytes(8).toString("hex");
    const admin = variable("POSTGRES_ADMIN_URL");
    const url = new URL(admin);
    await queryOnce(admin, `CREATE ROLE ${role} LOGIN CREATEDB PASSWORD '${password}'`);
    try {
      // A project's `up` takes this right from PUBLIC.
      await queryOnce(admin, `GRANT CONNECT ON DATABASE "${url.pathname.slice(1)}" TO ${role}`);
      [url.username, url.password] = [role, password];
      const reader = await people.add("reader", "read:organization", "read:repository");
      await GiteaPeople.ok("PATCH", `/admin/users/${reader.name}`, variable("GITEA_TOKEN"), {
        login_name: reader.name,
        source_id: 0,
        admin: true,
      });
      const all = await asked({ GITEA_TOKEN: reader.token, POSTGRES_ADMIN_URL: url.href });
      const token = one(all, "Gitea", "token");
      assert.match(token.found, /^RDEV_FORBIDDEN: .*write:repository/);
      assert.match(token.todo ?? "", /Rights/);
      const found = one(all, "PostgreSQL", "role");
      assert.equal(found.found, `${role} of POSTGRES_ADMIN_URL lacks CREATEROLE`);
      assert.match(found.todo ?? "", /deploy\/rights\/projects\.sql/);

      const outsider = await people.add("outsider", "write:organization", "write:repository");
      const outside = one(await asked({ GITEA_TOKEN: outsider.token }), "Gitea", "token");
      assert.match(outside.found, /^RDEV_FORBIDDEN: .*organization projects/);
    } finally {
      await queryOnce(admin, `DROP OWNED BY ${role}`);
      await queryOnce(admin, `DROP ROLE ${role}`);
      await people.remove();
    }
  });

  it("finds a token for updates of templates that may too little, or too much", async () => {
    const people = new GiteaPeople();
    const settings = await sandboxPlatform();
    const admin = new Gitea({ url: variable("GITEA_URL"), token: variable("GITEA_TOKEN") });
    const path = `/repos/${settings.gitOrganization}/${name}`;
    await admin.createRepository(settings.gitOrganization, name, {
      description: "",
      private: true,
      default_branch: "main",
    });
    const invite = (person: Person, permission: string) =>
      GiteaPeople.ok("PUT", `${path}/collaborators/${person.name}`, variable("GITEA_TOKEN"), {
        permission,
      });
    const [, check] = giteaChecks;
    const found = async (token: string | undefined) => {
      const { status, found: text } = await withVariables({ GITEA_TEMPLATE_TOKEN: token }, () =>
        check!.run({ settings }),
      );
      return `${status}: ${text}`;
    };
    try {
      assert.match(await found(undefined), /^skipped: GITEA_TEMPLATE_TOKEN is not set/);
      const person = await people.add("templates", "write:repository");
      assert.match(await found(person.token), /^failed: .* sees no repository of the projects$/);
      await invite(person, "read");
      assert.match(await found(person.token), /^failed: .* may not write projects\//);
      await invite(person, "write");
      assert.equal(
        await found(person.token),
        "ok: GITEA_TEMPLATE_TOKEN may write repositories of projects, and no more",
      );
      await invite(person, "admin");
      assert.match(await found(person.token), /^warning: GITEA_TEMPLATE_TOKEN may delete projects/);
      assert.match(await found(variable("GITEA_TOKEN")), /^warning: .* change the organization/);
      const reader = await people.add("reader", "read:repository");
      await assert.rejects(found(reader.token), { code: "RDEV_FORBIDDEN" });
      await assert.rejects(found("a-wrong-token"), { code: "RDEV_UNAUTHORIZED" });
    } finally {
      await admin.deleteRepository(settings.gitOrganization, name);
      await people.remove();
    }
  });

  it("does not wait for a server that hangs, and checks the others meanwhile", async () => {
    const server = createServer(() => undefined).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const address = `127.0.0.1:${port}`;
    try {
      const started = performance.now();
      const all = await asked(
        {
          CITADEL_URL: `http://${address}`,
          REDIS_ADMIN_URL: `redis://${address}`,
          POSTGRES_ADMIN_URL: `postgres://me@${address}/postgres`,
        },
        10_000,
      );
      // Side by side: far less than one deadline for each of the ten checks that hang.
      assert.ok(performance.now() - started < 60_000);
      // One line for each server, however many checks it has.
      assert.match(
        one(all, "Redis", "version, user, persistence, clock").found,
        /^RDEV_DEADLINE: /,
      );
      assert.match(one(all, "PostgreSQL", "version, role, clock").found, /^RDEV_DEADLINE: /);
      assert.match(one(all, "Citadel", "key").found, /^RDEV_DEADLINE: /);
      assert.equal(one(all, "Redis", "version").status, "failed");
      assert.ok(all.some(({ system, status }) => system === "Gitea" && status === "ok"));
    } finally {
      server.close();
    }
  });

  it("names what another platform has in the cluster, and a locked stack", async () => {
    const other = await ownPlatform(name);
    try {
      await other.as(async () => {
        const folder = new URL(variable("PULUMI_BACKEND_URL")).pathname;
        const locks = join(folder, ".pulumi/locks/organization/rdev", name);
        await mkdir(locks, { recursive: true });
        const holder = { pid: 4711, username: "ada", hostname: "laptop", timestamp: new Date() };
        await writeFile(join(locks, "0.json"), JSON.stringify(holder));
        const all = await diagnose({ platform: name, workDir: other.workDir, deadline: PATIENCE });
        const settings = one(all, "Settings", name);
        assert.equal(settings.found, "valid; the platform was never brought up");
        const names = one(all, "Kubernetes", "names");
        assert.match(
          names.found,
          /^RDEV_NOT_OURS: .*the Namespace observability \(others of staging\)/,
        );
        const lock = one(all, "Pulumi", "locks");
        assert.equal(lock.status, "warning");
        assert.equal(lock.found, `${name} is locked by ada@laptop (pid 4711)`);

        await rm(join(other.workDir, `Pulumi.${name}.yaml`));
        const missing = await diagnose({
          platform: name,
          workDir: other.workDir,
          deadline: PATIENCE,
        });
        assert.match(one(missing, "Settings", name).found, /^RDEV_SETTINGS: Pulumi\..* is not in /);
      });
    } finally {
      await other.remove();
    }
  });
});
