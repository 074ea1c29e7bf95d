import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fastify, { type FastifyInstance } from "fastify";
import { stringify } from "yaml";
import { type Diagnosis, diagnose } from "../../automation/doctor/doctor.ts";
import { diagnosisLines } from "../../cli/views/diagnosis-lines.ts";
import { SYSTEMS } from "../../core/systems.ts";
import { clock } from "../../providers/check.ts";
import { PLATFORM } from "../support/platform.ts";
import { withVariables } from "../support/variables.ts";

/** Every variable of a system, unset. */
const NONE = Object.fromEntries(
  [
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    ...Object.values(SYSTEMS).flatMap(({ variables }) => Object.keys(variables)),
  ].map((variable) => [variable, undefined]),
);

describe("doctor", () => {
  let folder: string;
  let servers: FastifyInstance[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-doctor-"));
    servers = [];
  });
  afterEach(async () => {
    for (const server of servers) await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** A server that answers these paths, and 404 everything else. */
  async function serve(answers: Readonly<Record<string, object | string>>, status = 404) {
    const app = fastify({ forceCloseConnections: true });
    app.setNotFoundHandler(async (_request, reply) => reply.code(status).send({ message: "no" }));
    for (const [path, answer] of Object.entries(answers)) {
      app.all(path, async () => answer);
    }
    servers.push(app);
    return app.listen({ host: "127.0.0.1", port: 0 });
  }

  async function kubeconfig(server: string): Promise<string> {
    const file = join(folder, "kubeconfig");
    const config = {
      clusters: [{ name: "c", cluster: { server, "insecure-skip-tls-verify": true } }],
      users: [{ name: "u", user: { token: "planted-token" } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
    };
    await writeFile(file, JSON.stringify(config));
    return file;
  }

  async function settings(more: object = {}): Promise<void> {
    const config = Object.fromEntries(
      Object.entries({ ...PLATFORM, ...more }).map(([key, value]) => [`rdev:${key}`, value]),
    );
    await writeFile(join(folder, "Pulumi.staging.yaml"), stringify({ config }));
  }

  const ask = (variables: Readonly<Record<string, string | undefined>> = {}, install = false) =>
    withVariables({ ...NONE, PULUMI_BACKEND_URL: `file://${folder}`, ...variables }, () =>
      diagnose({ platform: "staging", workDir: folder, deadline: 30_000, install }),
    );
  const one = (all: readonly Diagnosis[], system: string, check: string) =>
    all.find((each) => each.system === system && each.check.includes(check));

  it("names all missing variables, one line for each connection", async () => {
    const all = await ask({
      KUBECONFIG: join(folder, "none"),
      GITEA_URL: "gitea",
      GITEA_TOKEN: "a b",
    });
    const gitea = all.filter(({ system }) => system === "Gitea");
    assert.equal(gitea.length, 1);
    assert.match(
      gitea[0]?.found ?? "",
      /GITEA_URL is not a URL.*; GITEA_TOKEN contains white space/,
    );
    for (const system of ["Woodpecker", "DNS", "Registry", "Citadel"]) {
      assert.deepEqual(
        all.filter((each) => each.system === system).map(({ check }) => check),
        ["variables"],
      );
    }
    assert.match(one(all, "Kubernetes", "version")?.found ?? "", /^RDEV_CONNECTION: KUBECONFIG/);
  });

  it("lists every mistake in the settings", async () => {
    await settings({ dnsTtl: 1, tls: {} });
    const { found } = one(await ask(), "Settings", "staging")!;
    assert.match(
      found,
      /RDEV_SETTINGS: .*\n.*rdev:tls: .*\n.*rdev:dnsTtl: |rdev:dnsTtl[^]*rdev:tls: /,
    );
  });

  it("refuses a Kubernetes that is too old", async () => {
    const version = (minor: string) => ({ major: "1", minor, gitVersion: `v1.${minor}.2` });
    const old = await kubeconfig(await serve({ "/version": version("29+") }, 403));
    const { status, found, todo } = one(await ask({ KUBECONFIG: old }), "Kubernetes", "version")!;
    assert.deepEqual([status, found], ["failed", "is v1.29+.2, which is too old"]);
    assert.match(todo ?? "", /1\.30 or newer/);
    const fresh = await kubeconfig(await serve({ "/version": version("30") }, 403));
    assert.equal(one(await ask({ KUBECONFIG: fresh }), "Kubernetes", "version")?.status, "ok");
  });

  it("refuses a ClusterIssuer that is missing or solves HTTP-01 only, and warns of one not ready", async () => {
    const issuer = (solvers: object[], ready: string) => ({
      spec: { acme: { solvers } },
      status: { conditions: [{ type: "Ready", status: ready }] },
    });
    const path = "/apis/cert-manager.io/v1/clusterissuers";
    const server = await serve({
      [`${path}/web`]: issuer([{ http01: {} }], "True"),
      [`${path}/late`]: issuer([{ dns01: {} }], "False"),
      [`${path}/good`]: issuer([{ dns01: {} }, { http01: {} }], "True"),
    });
    const KUBECONFIG = await kubeconfig(server);
    for (const [clusterIssuer, status, text] of [
      ["none", "failed", /there is no ClusterIssuer none/],
      ["web", "failed", /HTTP-01 only/],
      ["late", "warning", /is not ready/],
      ["good", "ok", /is ready/],
    ] as const) {
      await settings({ tls: { clusterIssuer } });
      const found = one(await ask({ KUBECONFIG }), "Kubernetes", "certificates")!;
      assert.equal(found.status, status, clusterIssuer);
      assert.match(found.found, text);
    }
  });

  it("counts what the policies refused or would have refused", async () => {
    await settings();
    const line = (policy: string, action: string, count: number) =>
      `apiserver_validating_admission_policy_check_total{enforcement_action="${action}",` +
      `error_type="no_error",policy="${policy}",policy_binding="${policy}"} ${count}`;
    const metrics = [
      "# TYPE apiserver_validating_admission_policy_check_total counter",
      line("pod-environment.rdev.io", "allow", 70),
      line("pod-environment.rdev.io", "warn", 3),
      line("pod-environment.rdev.io", "audit", 2),
      line("somebody.else", "deny", 9),
    ].join("\n");
    const variables = {
      KUBECONFIG: await kubeconfig(await serve({ "/metrics": metrics })),
      // The names of the policies need the owner of the platform's stack.
      PATH: `${folder}:${process.env["PATH"]}`,
      CITADEL_URL: "http://127.0.0.1:1",
      CITADEL_API_KEY: "ck_planted",
    };
    const pulumi = "#!/bin/sh\necho \"error: no stack named 'staging' found\" >&2; exit 255\n";
    await writeFile(join(folder, "pulumi"), pulumi, { mode: 0o755 });
    const { status, found } = one(await ask(variables), "Kubernetes", "refusals")!;
    assert.equal(status, "warning");
    assert.match(found, /refused 5 requests \(pod-environment\.rdev\.io\)$/);
  });

  it("finds a registry that forbids deletes", async () => {
    const url = await serve({ "/v2/": {}, "/v2/rdev-infra/doctor/tags/list": { tags: [] } }, 405);
    const account = { REGISTRY_USERNAME: "admin", REGISTRY_PASSWORD: "planted" };
    const all = await ask({ REGISTRY_URL: url, ...account });
    const { status, found } = one(all, "Registry", "deletes")!;
    assert.equal(status, "failed");
    assert.match(found, /storage\.delete\.enabled/);
    assert.equal(one(all, "Registry", "account")?.status, "ok");
  });

  it("finds loopback addresses that pods, nodes and visitors would get", async () => {
    await settings({
      registry: "localhost:5000",
      ingressAddress: "127.0.0.1",
      cacheAddress: { host: "redis.data.svc" },
    });
    const all = await ask({
      POSTGRES_ADMIN_URL: "postgres://me:planted@localhost:15432/postgres",
      REDIS_ADMIN_URL: "redis://127.0.0.1",
      CITADEL_ENABLED: "false",
    });
    const { status, found, todo } = one(all, "Addresses", "loopback")!;
    assert.equal(status, "failed");
    assert.equal(
      found,
      "the projects' pods would get localhost from POSTGRES_ADMIN_URL; the cluster's nodes would get " +
        "localhost from rdev:registry; visitors (by DNS) would get 127.0.0.1 from rdev:ingressAddress",
    );
    assert.match(todo ?? "", /rdev:databaseAddress, rdev:registry, rdev:ingressAddress/);
    assert.ok(!all.some(({ system }) => system === "Citadel"));
    assert.ok(!JSON.stringify(all).includes("planted"));
  });

  it("names what the service in the cluster lacks: variables, addresses, rights", async () => {
    await settings({
      service: { image: "r.test/rdev-infra:1", host: `rdev-infra.${PLATFORM.domain}` },
    });
    const reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    const app = fastify({ forceCloseConnections: true });
    servers.push(app);
    app.post<{ Body: { spec: { resourceAttributes: Record<string, string> } } }>(
      reviews,
      async ({ body: { spec } }) => {
        const { resource, verb, namespace } = spec.resourceAttributes;
        const isJob = resource === "jobs" && verb === "create";
        // The right in the service's own namespace only.
        return { status: { allowed: !isJob || namespace !== "rdev-infra-service" } };
      },
    );
    const variables = {
      KUBECONFIG: await kubeconfig(await app.listen({ host: "127.0.0.1", port: 0 })),
      DATABASE_URL: "postgres://service:planted@127.0.0.1:1/rdev",
      CITADEL_ENABLED: "false",
    };
    const all = await ask(variables);
    const needed = one(all, "Service", "variables")!;
    assert.equal(needed.status, "failed");
    assert.match(needed.found, /GITEA_URL is missing[^]*PULUMI_BACKEND_URL is not/);
    const addresses = one(all, "Service", "addresses")!;
    assert.deepEqual(
      [addresses.status, addresses.found],
      ["failed", "a pod would take these for itself: DATABASE_URL (127.0.0.1)"],
    );
    const rights = one(all, "Kubernetes", "service's rights")!;
    assert.equal(rights.status, "failed");
    assert.match(rights.found, /may not create jobs\.batch, so/);
    assert.equal(one(all, "Service", "host")?.status, "ok");
    const pods = "postgres://service:planted@db.data.svc/rdev";
    const better = await ask({ ...variables, RDEV_INFRA_SERVICE_DATABASE_URL: pods });
    assert.equal(one(better, "Service", "addresses")?.status, "ok");
    assert.ok(!JSON.stringify([all, better]).includes("planted"));
  });

  it("asks nothing about the service without its setting, and says so before an installation", async () => {
    await settings();
    assert.ok(!(await ask()).some(({ system }) => system === "Service"));
    const { status, found } = one(await ask({}, true), "Service", "setting")!;
    assert.deepEqual(
      [status, found],
      ["failed", "rdev:service is not set, so an up does not install the service"],
    );
  });

  it("compares clocks, whoever is ahead", () => {
    const now = Date.now();
    const at = (seconds: number) => clock(new Date(now + seconds * 1000), now).status;
    assert.deepEqual([-90, -10, -2, 0, 2, 10, 90].map(at), [
      "failed",
      "warning",
      "ok",
      "ok",
      "ok",
      "warning",
      "failed",
    ]);
    assert.equal(clock(undefined, now).status, "skipped");
  });

  it("shows each system with its checks, what to do, and no control characters of a server", () => {
    const lines = diagnosisLines(
      [
        {
          system: "Gitea",
          check: "token",
          status: "failed",
          found: "no\u001b[2J\nsecond",
          todo: "Mend it.",
        },
        { system: "Gitea", check: "clock", status: "ok", found: "as ours" },
      ],
      1_200,
    );
    assert.deepEqual(lines, [
      "Gitea",
      "  ✗ token: no\\u001b[2J",
      "    second",
      "    → Mend it.",
      "  ✔ clock: as ours",
      "",
      "1 ok, 0 warnings, 1 failed, 0 skipped in 1.2 s.",
    ]);
  });
});
