import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { access, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { AppsV1Api, BatchV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { execa } from "execa";
import { Redis } from "ioredis";
import { Client } from "pg";
import { request } from "undici";
import { announce } from "../../automation/notifications/outbox.ts";
import { Store } from "../../automation/store/store.ts";
import { until } from "../../sandbox/process.ts";
import { type Sandbox, startSandbox } from "../../sandbox/sandbox.ts";
import { signIn } from "../support/gitea-provider.ts";
import { NPM, type StartedSandbox, startedSandbox } from "../support/started-sandbox.ts";
import { WebBrowser } from "../support/web-browser.ts";

const DOMAIN = "staging.example.test";
const ROOT = new URL("../../", import.meta.url).pathname;
const MAIN = join(ROOT, "sandbox/main.ts");

async function get(url: string, headers: Record<string, string> = {}) {
  const { statusCode, body } = await request(url, { headers });
  const content = await body.text();
  return { status: statusCode, content };
}

describe("sandbox", () => {
  let sandbox: Sandbox;
  let env: (name: string) => string;
  let cluster: KubeConfig;
  before(async () => {
    sandbox = await startSandbox({
      domain: DOMAIN,
      gitOrganization: "orchard",
      citadelOrganization: "orchard",
      registry: "registry.example.test",
      agentImage: "registry.example.test/agent:1",
      kubernetesApi: "https://kubernetes.default.svc",
    });
    env = (name) => {
      const value = sandbox.env[name];
      assert.ok(value, `${name} is set`);
      return value;
    };
    cluster = new KubeConfig();
    cluster.loadFromFile(env("KUBECONFIG"));
  });
  after(() => sandbox.stop());

  const basic = (user: string, password: string) =>
    `Basic ${Buffer.from(`${env(user)}:${env(password)}`).toString("base64")}`;

  it("has a Kubernetes whose nodes are Ready and whose platform workloads run", async () => {
    const { items: nodes } = await cluster.makeApiClient(CoreV1Api).listNode();
    assert.equal(nodes.length, 2);
    const apps = cluster.makeApiClient(AppsV1Api);
    const namespace = "rdev";
    const { items: deployments } = await apps.listNamespacedDeployment({ namespace });
    const { items: sets } = await apps.listNamespacedStatefulSet({ namespace });
    const all = [...deployments, ...sets];
    assert.deepEqual(all.map(({ metadata }) => metadata?.name).sort(), [
      "claudebox",
      "rdev-api",
      "rdev-worker",
    ]);
    for (const { status, spec } of all) {
      assert.equal(status?.readyReplicas, 1);
      const labels = Object.keys(spec?.template.metadata?.labels ?? {});
      assert.ok(!labels.some((label) => label.startsWith("citadel.io/")));
    }
  });

  it("has a Kubernetes with service accounts, their tokens, and Pod Security", async () => {
    const core = cluster.makeApiClient(CoreV1Api);
    const namespace = "restricted";
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await core.createNamespace({ body: { metadata: { name: namespace, labels } } });
    await until(() => core.readNamespacedServiceAccount({ namespace, name: "default" }));
    await core.createNamespacedSecret({
      namespace,
      body: {
        metadata: {
          name: "deploy",
          annotations: { "kubernetes.io/service-account.name": "default" },
        },
        type: "kubernetes.io/service-account-token",
      },
    });
    await until(async () => {
      const { data } = await core.readNamespacedSecret({ namespace, name: "deploy" });
      assert.deepEqual(Object.keys(data ?? {}).sort(), ["ca.crt", "namespace", "token"]);
    });
    const pod = {
      metadata: { name: "loose" },
      spec: { containers: [{ name: "a", image: "registry.invalid/a" }] },
    };
    await assert.rejects(
      core.createNamespacedPod({ namespace, body: pod }),
      /violates PodSecurity/,
    );
  });

  it("has a Kubernetes that finishes jobs, and removes deleted pods and namespaces", async () => {
    const core = cluster.makeApiClient(CoreV1Api);
    const jobs = cluster.makeApiClient(BatchV1Api);
    const namespace = "jobs";
    await core.createNamespace({ body: { metadata: { name: namespace } } });
    const containers = [{ name: "a", image: "registry.invalid/a" }];
    await until(() => core.readNamespacedServiceAccount({ namespace, name: "default" }));
    await jobs.createNamespacedJob({
      namespace,
      body: {
        metadata: { name: "once" },
        spec: { template: { spec: { containers, restartPolicy: "Never" } } },
      },
    });
    await until(async () => {
      const { status } = await jobs.readNamespacedJob({ namespace, name: "once" });
      assert.equal(status?.succeeded, 1);
    });
    await core.deleteNamespace({ name: namespace });
    await until(() => assert.rejects(core.readNamespace({ name: namespace }), { code: 404 }));
  });

  it("has a Kubernetes that refuses a caller without a token", async () => {
    const anonymous = new KubeConfig();
    const server = cluster.getCurrentCluster();
    assert.ok(server && !server.skipTLSVerify);
    anonymous.loadFromClusterAndUser(server, { name: "nobody" });
    await assert.rejects(anonymous.makeApiClient(CoreV1Api).listNode(), { code: 401 });
  });

  it("has a Gitea with the organization and an administrator's token", async () => {
    const authorization = `token ${env("GITEA_TOKEN")}`;
    const user = await get(`${env("GITEA_URL")}/api/v1/user`, { authorization });
    assert.equal((JSON.parse(user.content) as { is_admin: boolean }).is_admin, true);
    const organization = await get(`${env("GITEA_URL")}/api/v1/orgs/orchard`, { authorization });
    assert.equal(organization.status, 200);
    assert.equal((await get(`${env("GITEA_URL")}/api/v1/user`, {})).status, 401);
  });

  it("has a Woodpecker that uses Gitea", async () => {
    const authorization = `Bearer ${env("WOODPECKER_TOKEN")}`;
    const user = await get(`${env("WOODPECKER_URL")}/api/user`, { authorization });
    assert.equal((JSON.parse(user.content) as { login: string }).login, "rdev-admin");
  });

  it("has a PostgreSQL whose superuser needs the password", async () => {
    const client = new Client({ connectionString: env("POSTGRES_ADMIN_URL") });
    await client.connect();
    const { rows } = await client.query(
      "select rolsuper from pg_roles where rolname = current_user",
    );
    assert.deepEqual(rows, [{ rolsuper: true }]);
    await client.end();
    const wrong = new URL(env("POSTGRES_ADMIN_URL"));
    wrong.password = "wrong";
    const stranger = new Client({ connectionString: wrong.href });
    await assert.rejects(stranger.connect(), { code: "28P01" });
  });

  it("has a Redis that saves its users, and refuses anonymous clients", async () => {
    const redis = new Redis(env("REDIS_ADMIN_URL"));
    assert.equal(await redis.acl("SAVE"), "OK");
    redis.disconnect();
    const { hostname, port } = new URL(env("REDIS_ADMIN_URL"));
    const stranger = connect(Number(port), hostname);
    stranger.end("PING\r\n");
    assert.match(await text(stranger), /^-NOAUTH/);
  });

  it("has a DNS server that serves a record as soon as it is created", async () => {
    const resolver = new Resolver();
    resolver.setServers([sandbox.dns]);
    assert.deepEqual(await resolver.resolveNs(DOMAIN), [`ns1.${DOMAIN}`]);
    assert.equal((await resolver.resolveSoa(DOMAIN)).nsname.length > 0, true);
    await assert.rejects(resolver.resolve4(`new.${DOMAIN}`), { code: "ENOTFOUND" });
    const rrset = {
      name: `new.${DOMAIN}.`,
      type: "A",
      ttl: 60,
      changetype: "REPLACE",
      records: [{ content: "192.0.2.7", disabled: false }],
    };
    const { statusCode } = await request(
      `${env("POWERDNS_URL")}/api/v1/servers/localhost/zones/${DOMAIN}.`,
      {
        method: "PATCH",
        headers: { "x-api-key": env("POWERDNS_API_KEY") },
        body: JSON.stringify({ rrsets: [rrset] }),
      },
    );
    assert.equal(statusCode, 204);
    assert.deepEqual(await resolver.resolve4(`new.${DOMAIN}`), ["192.0.2.7"]);
  });

  it("has a registry whose issuer gives tokens only for valid credentials", async () => {
    const ask = (authorization?: string) => {
      const [host, query] = [env("REGISTRY_TOKEN_LISTEN"), "scope=registry:catalog:*"];
      const headers: Record<string, string> = authorization ? { authorization } : {};
      return get(`http://${host}/v1/registry/token?${query}`, headers);
    };
    const { content } = await ask(basic("REGISTRY_USERNAME", "REGISTRY_PASSWORD"));
    const { token } = JSON.parse(content) as { token: string };
    const url = `${env("REGISTRY_URL")}/v2/_catalog`;
    assert.equal((await get(url, { authorization: `Bearer ${token}` })).status, 200);
    assert.equal((await get(url, {})).status, 401);
    assert.equal((await ask()).status, 401);
    assert.equal((await ask(basic("REGISTRY_USERNAME", "REGISTRY_URL"))).status, 401);
  });

  it("has a Citadel with a key for everything, and a key that may not list tenants", async () => {
    const url = `${env("CITADEL_URL")}/api/v1/tenants`;
    const status = async (key: string) =>
      (await get(url, { authorization: `Bearer ${env(key)}` })).status;
    assert.equal(await status("CITADEL_API_KEY"), 200);
    assert.equal(await status("CITADEL_AGENT_KEY"), 403);
  });

  it("has an engine with its own backend", async () => {
    const { stdout } = await execa("pulumi", ["whoami", "--json", "--verbose"], {
      env: sandbox.env,
      preferLocal: false,
    });
    assert.match(stdout, new RegExp(sandbox.folder));
    const { stdout: node } = await execa("node", ["--version"], { env: sandbox.env });
    assert.equal(node, process.version);
  });

  it("tells which parts are real", () => {
    const standIns = sandbox.parts.filter(({ real }) => !real).map(({ name }) => name);
    assert.deepEqual(standIns, ["Woodpecker", "Citadel"]);
    for (const { real, version } of sandbox.parts)
      if (real) assert.match(version ?? "", /\d+\.\d+/);
  });

  it("keeps secrets out of command lines, logs and output, and away from other users", async () => {
    const secrets = Object.entries(sandbox.env)
      .filter(([name]) => /TOKEN|PASSWORD|KEY|PASSPHRASE/.test(name))
      .map(([, value]) => value);
    for (const name of ["POSTGRES_ADMIN", "DATABASE", "DATABASE_OWNER", "REDIS_ADMIN"]) {
      secrets.push(new URL(env(`${name}_URL`)).password);
    }
    const shown = JSON.stringify([sandbox.parts, sandbox.engine]);
    const { stdout: commands } = await execa("ps", ["-eo", "args"]);
    const logs = await Promise.all(
      (await readdir(sandbox.folder, { recursive: true }))
        .filter((name) => name.endsWith(".log"))
        .map((name) => readFile(join(sandbox.folder, name), "utf8")),
    );
    for (const secret of secrets) {
      assert.ok(![shown, commands, ...logs].some((place) => place.includes(secret)));
    }
    for (const name of await readdir(sandbox.folder)) {
      assert.equal((await stat(join(sandbox.folder, name))).mode & 0o077, 0, name);
    }
    assert.equal((await stat(sandbox.folder)).mode & 0o066, 0);
  });

  it("has a database for rdev-infra itself, migrated, with a role that may not change its audit log", async () => {
    const client = new Client({ connectionString: env("DATABASE_URL") });
    await client.connect();
    try {
      const { rows } = await client.query("SELECT count(*)::int AS events FROM audit_log");
      assert.deepEqual(rows, [{ events: 0 }]);
      await assert.rejects(client.query("DELETE FROM audit_log"), /permission denied/);
    } finally {
      await client.end();
    }
  });

  it("writes a file that a shell can source", async () => {
    const script = '. "$1"; printf %s "$POSTGRES_ADMIN_URL"';
    const { stdout } = await execa("/bin/sh", ["-c", script, "sh", sandbox.envFile]);
    assert.equal(stdout, env("POSTGRES_ADMIN_URL"));
  });
});

describe("npm run sandbox", () => {
  const children: ChildProcess[] = [];
  after(() => children.forEach((child) => child.kill("SIGKILL")));

  const start = (command?: typeof NPM) =>
    startedSandbox(command, (child) => void children.push(child));

  /** The running processes whose command line contains the folder. */
  async function processesOf(folder: string): Promise<string[]> {
    const { stdout } = await execa("ps", ["-eo", "stat=,args="]);
    return stdout.split("\n").filter((line) => line.includes(folder) && !line.startsWith("Z"));
  }

  async function nothingIsLeft({ folder, env }: StartedSandbox): Promise<void> {
    await until(async () => {
      assert.deepEqual(await processesOf(folder), []);
      await assert.rejects(access(folder), { code: "ENOENT" });
    });
    for (const url of ["GITEA_URL", "POSTGRES_ADMIN_URL", "WOODPECKER_URL"]) {
      await assert.rejects(request(env[url]?.replace(/^postgres/, "http") ?? ""), {
        code: "ECONNREFUSED",
      });
    }
  }

  it("runs twice side by side, and stops one without the other", async () => {
    const [first, second] = await Promise.all([start(), start()]);
    const [ports, others] = [first, second].map(
      ({ env }) =>
        new Set(Object.values(env).flatMap((value) => /127\.0\.0\.1:(\d+)/.exec(value)?.[1] ?? [])),
    );
    assert.ok(ports && others && ports.size > 6);
    assert.deepEqual(
      [...ports].filter((port) => others.has(port)),
      [],
    );
    first.child.kill("SIGTERM");
    await once(first.child, "exit");
    await nothingIsLeft(first);
    const client = new Client({ connectionString: second.env.POSTGRES_ADMIN_URL });
    await client.connect();
    await client.end();
    second.child.kill("SIGKILL");
    await nothingIsLeft(second);
  });

  it("prints how to sign in to the page and to read notifications, and stops on Ctrl-C", async function () {
    this.timeout(300_000);
    const child = spawn(process.execPath, [MAIN], { stdio: ["ignore", "pipe", "pipe"] });
    children.push(child);
    let progress = "";
    child.stderr.on("data", (data: Buffer) => (progress += data.toString()));
    let output = "";
    for await (const data of child.stdout) {
      output += String(data);
      if (output.includes("Ctrl-C stops everything")) break;
    }
    const printed = (pattern: RegExp) =>
      pattern.exec(output)?.slice(1) ?? assert.fail(`${String(pattern)}:\n${progress}${output}`);
    const [url = ""] = printed(/^The page: (http:\S+)$/m);
    const [login = "", password = ""] = printed(
      /^ +sign in at Gitea: name (\S+), password (\S+)$/m,
    );
    const [key = ""] = printed(/^ +paste an API key: (\S+)$/m);
    const [folder = ""] = printed(/^ +\. (\S+)\/env\.sh$/m);
    assert.match(progress, /platform: create \w+ \S+$/m);

    const browser = new WebBrowser();
    await signIn(browser, url, { login, password });
    const byKey = { authorization: `Bearer ${key}` };
    const answers = [
      await browser.request(`${url}/auth/me`),
      await new WebBrowser().request(`${url}/auth/me`, { headers: byKey }),
    ];
    for (const { text: answer } of answers) {
      assert.match(answer, /"grants":\[\{"role":"admin","project":null\}\]/);
    }

    const [received = ""] = printed(/^Notifications that the service sent: curl (http:\S+)$/m);
    const script = '. "$1"; printf %s "$DATABASE_URL"';
    const envFile = join(folder, "env.sh");
    const { stdout: database } = await execa("/bin/sh", ["-c", script, "sh", envFile]);
    const store = new Store({ url: database });
    await store.transaction((transaction) =>
      announce(transaction, { kind: "drift.found", checked: 1, differing: [], failed: [] }),
    );
    await store.close();
    await until(async () => {
      const { content } = await get(received);
      for (const part of ['"type": "io.rdev.drift.found"', "Subject: [staging]"]) {
        assert.ok(content.includes(part), content);
      }
    });

    child.kill("SIGINT");
    await once(child, "exit");
    assert.deepEqual(await processesOf(folder), []);
    await assert.rejects(access(folder), { code: "ENOENT" });
    await until(() => assert.rejects(request(url), { code: "ECONNREFUSED" }));
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`stops everything when npm is ended by ${signal}`, async () => {
      const running = await start(NPM);
      running.child.kill(signal);
      await once(running.child, "exit");
      await nothingIsLeft(running);
    });
  }

  it("leaves nothing after Ctrl-C during the start", async () => {
    const temporary = await mkdtemp(join(tmpdir(), "rdev-early-"));
    const child = spawn(process.execPath, [MAIN, "--json"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, TMPDIR: temporary },
    });
    children.push(child);
    // At the first progress message, not all servers are up.
    await once(child.stderr, "data");
    child.kill("SIGINT");
    await once(child, "exit");
    await until(async () => {
      assert.deepEqual(await readdir(temporary), []);
      assert.deepEqual(await processesOf(temporary), []);
    });
    await rm(temporary, { recursive: true });
  });

  it("names everything that the machine lacks in one error", async () => {
    const bare = await mkdtemp(join(tmpdir(), "rdev-bare-"));
    const { exitCode, stderr, stdout } = await execa(process.execPath, [MAIN, "--json"], {
      // Without a network, all programs must be built.
      env: { PATH: bare, XDG_CACHE_HOME: bare, HTTPS_PROXY: "http://127.0.0.1:9" },
      reject: false,
    });
    await rm(bare, { recursive: true });
    assert.equal(exitCode, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^RDEV_PREREQUISITE: The sandbox needs what this machine lacks:$/m);
    assert.match(stderr, /- git, redis-server, .*gcc.*sudo apt-get install git redis-server/);
    assert.match(stderr, /- Go 1\.21 or later .*there is no `go` in PATH/);
  });

  it("names in the same error why a machine cannot run a real node", async () => {
    const bare = await mkdtemp(join(tmpdir(), "rdev-bare-"));
    const { exitCode, stderr } = await execa(process.execPath, [MAIN, "--real-node", "--json"], {
      // The node has a /run of its own, so the sandbox's files cannot be there.
      env: {
        ...{ PATH: bare, XDG_CACHE_HOME: bare, TMPDIR: "/run" },
        HTTPS_PROXY: "http://127.0.0.1:9",
      },
      reject: false,
    });
    await rm(bare, { recursive: true });
    assert.equal(exitCode, 1);
    assert.match(stderr, /^RDEV_PREREQUISITE: The sandbox needs what this machine lacks:$/m);
    assert.match(
      stderr,
      /- .*to build .*kubernetes-node, containerd, cni, kube-router, pods: there is no `go`/,
    );
    assert.match(
      stderr,
      /- the folder for temporary files \(TMPDIR\) outside \/run, .* is \/run$/m,
    );
    const isRoot = process.getuid?.() === 0;
    assert.equal(/- root, because/.test(stderr), !isRoot, stderr);
  });

  it("stops the other parts when one fails, and names it", async () => {
    const bin = await mkdtemp(join(tmpdir(), "rdev-broken-"));
    const temporary = await mkdtemp(join(tmpdir(), "rdev-failed-"));
    const script = "#!/bin/sh\necho no memory left; exit 1\n";
    await writeFile(join(bin, "redis-server"), script, { mode: 0o755 });
    const { exitCode, stderr } = await execa(process.execPath, [MAIN, "--json"], {
      env: { PATH: `${bin}:${process.env.PATH}`, TMPDIR: temporary },
      reject: false,
    });
    assert.equal(exitCode, 1);
    assert.match(stderr, /^RDEV_SANDBOX: redis did not start: it ended with code 1/m);
    assert.match(stderr, /no memory left/);
    assert.deepEqual(await readdir(temporary), []);
    assert.deepEqual(await processesOf(temporary), []);
    await Promise.all([bin, temporary].map((path) => rm(path, { recursive: true })));
  });
});
