import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { request } from "undici";
import { z } from "zod";
import { clusterDocuments } from "../../../automation/identity/authenticator.ts";
import { Kubernetes } from "../../../providers/kubernetes/client.ts";
import { type SandboxService, startService } from "../../../sandbox/service.ts";
import { type GiteaProvider, giteaProvider } from "../../support/gitea-provider.ts";
import { writeKubeconfig } from "../../support/kubeconfig.ts";
import { runningSandbox } from "../../support/sandbox.ts";
import { variable, withVariables } from "../../support/variables.ts";

/** Browsers see the service under this address; the test calls its real one. */
const ORIGIN = "http://localhost:8080";
const CALLBACK = `${ORIGIN}/auth/callback`;

const caller = z.object({
  kind: z.string(),
  actor: z.string(),
  grants: z.array(z.object({ role: z.string(), project: z.string().nullable() })),
});

describe("the service with Gitea and the API server as issuers", function () {
  this.timeout(400_000);
  let gitea: GiteaProvider;
  let service: SandboxService;
  let kubeconfig: string;
  let core: CoreV1Api;
  const namespace = `identity-${randomBytes(4).toString("hex")}`;

  before(async () => {
    const { env, folder } = runningSandbox();
    const config = new KubeConfig();
    config.loadFromFile(variable("KUBECONFIG"));
    core = config.makeApiClient(CoreV1Api);
    await core.createNamespace({ body: { metadata: { name: namespace } } });
    for (const name of ["rdev-infra", "deployer", "stranger"]) {
      await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name } } });
    }
    gitea = await giteaProvider(CALLBACK);
    const settings = {
      people: {
        issuer: variable("GITEA_URL"),
        clientId: gitea.clientId,
        roles: [{ group: gitea.group, role: "operator" }],
        signIn: { publicUrl: ORIGIN },
      },
      serviceAccounts: {
        roles: [{ account: `${namespace}/deployer`, role: "viewer", project: "my-app" }],
      },
    };
    const file = join(folder, `${namespace}.json`);
    await writeFile(file, JSON.stringify(settings));
    // A ServiceAccount to which nobody gave any rights.
    kubeconfig = await writeKubeconfig({ token: await tokenOf("rdev-infra") });
    service = await startService({
      env: {
        ...env,
        KUBECONFIG: kubeconfig,
        RDEV_INFRA_IDENTITY_FILE: file,
        RDEV_INFRA_CLIENT_SECRET: gitea.clientSecret,
        RDEV_INFRA_SESSION_KEY: randomBytes(32).toString("base64url"),
      },
    });
  });
  after(async () => {
    await service.stop();
    await gitea.remove();
    await core.deleteNamespace({ name: namespace });
  });

  /** A ServiceAccount's token, as the kubelet gets it for a pod. */
  async function tokenOf(name: string, ...audiences: string[]): Promise<string> {
    const spec = { audiences, expirationSeconds: 600 };
    const body = { spec };
    const made = await core.createNamespacedServiceAccountToken({ namespace, name, body });
    return made.status?.token ?? assert.fail("the API server gave no token");
  }

  async function get(path: string, headers: Record<string, string>) {
    const { statusCode, headers: received, body } = await request(service.url + path, { headers });
    return { status: statusCode, headers: received, text: await body.text() };
  }

  const me = async (headers: Record<string, string>) => {
    const { status, text } = await get("/auth/me", headers);
    assert.equal(status, 200, text);
    return caller.parse(JSON.parse(text));
  };
  const cookieOf = (headers: Record<string, string | string[] | undefined>, name: string) => {
    const cookies = [headers["set-cookie"] ?? []].flat();
    const found = cookies.find((cookie) => cookie.startsWith(`${name}=`) && !/=;/.test(cookie));
    return found?.split(";")[0] ?? assert.fail(`no ${name} in ${cookies.join(", ")}`);
  };

  it("signs a person in through Gitea, with the role of a team", async () => {
    const started = await get("/auth/sign-in", {});
    assert.equal(started.status, 302, started.text);
    const back = await gitea.authorize(new URL(String(started.headers["location"])));
    assert.equal(back.origin + back.pathname, CALLBACK);
    const cookie = cookieOf(started.headers, "rdev-sign-in");
    const finished = await get(back.pathname + back.search, { cookie });
    assert.equal(finished.status, 302, finished.text);
    assert.equal(finished.headers["location"], "/auth/me");

    const session = { cookie: cookieOf(finished.headers, "rdev-session") };
    const { kind, actor, grants } = await me(session);
    assert.equal(kind, "user");
    assert.match(actor, new RegExp(`^user:${gitea.login} \\(\\d+\\)$`));
    assert.deepEqual(grants, [{ role: "operator", project: null }]);
    assert.equal((await get("/v1/projects", session)).status, 200);
    assert.equal((await get("/v1/audit", session)).status, 403);

    const again = await get(back.pathname + back.search, { cookie });
    assert.equal(again.status, 400, "Gitea accepts a code once");
    const audit = await service.call<{ items: { action: string; actor: string }[] }>(
      "GET",
      "/v1/audit?action=auth.sign-in",
    );
    assert.ok(audit.items.some((event) => event.actor === actor));
  });

  it("accepts the ID token of Gitea as bearer token, but not its access token", async () => {
    const page = new URL(`${variable("GITEA_URL")}/login/oauth/authorize`);
    page.search = new URLSearchParams({
      client_id: gitea.clientId,
      redirect_uri: CALLBACK,
      response_type: "code",
      scope: "openid profile groups",
      state: "any",
    }).toString();
    const code = (await gitea.authorize(page)).searchParams.get("code") ?? "";
    const answer = await request(`${variable("GITEA_URL")}/login/oauth/access_token`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: gitea.clientId,
        client_secret: gitea.clientSecret,
        redirect_uri: CALLBACK,
        code,
      }).toString(),
    });
    const tokens = z
      .object({ id_token: z.string(), access_token: z.string() })
      .parse(await answer.body.json());
    const { grants } = await me({ authorization: `Bearer ${tokens.id_token}` });
    assert.deepEqual(grants, [{ role: "operator", project: null }]);
    const refused = await get("/auth/me", { authorization: `Bearer ${tokens.access_token}` });
    assert.equal(refused.status, 401, refused.text);
    assert.match(refused.text, /RDEV_TOKEN/);
  });

  it("reads the API server's keys without any right of its own", async () => {
    const signal = AbortSignal.timeout(60_000);
    const documents = await withVariables({ KUBECONFIG: kubeconfig }, async () =>
      clusterDocuments(await Kubernetes.connect()),
    );
    assert.equal(await documents.issuer(signal), "https://kubernetes.default.svc");
    const { keys } = z.object({ keys: z.array(z.unknown()) }).parse(await documents.keys(signal));
    assert.equal(keys.length, 1);
  });

  it("accepts a ServiceAccount's token for its audience only", async () => {
    const bearer = async (name: string, ...audiences: string[]) => ({
      authorization: `Bearer ${await tokenOf(name, ...audiences)}`,
    });
    const deployer = await bearer("deployer", "rdev-infra");
    assert.deepEqual(await me(deployer), {
      kind: "serviceAccount",
      actor: `serviceAccount:${namespace}/deployer`,
      grants: [{ role: "viewer", project: "my-app" }],
    });
    assert.equal((await get("/v1/projects", deployer)).status, 200);
    assert.equal((await get("/v1/projects/other", deployer)).status, 403);
    assert.equal((await get("/v1/projects", await bearer("stranger", "rdev-infra"))).status, 403);
    for (const audiences of [[], ["vault"]]) {
      const answer = await get("/v1/projects", await bearer("deployer", ...audiences));
      assert.equal(answer.status, 401, answer.text);
      assert.match(answer.text, /is for another audience; the service accepts rdev-infra/);
    }
  });
});
