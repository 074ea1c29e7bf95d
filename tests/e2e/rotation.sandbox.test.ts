import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { CoreV1Api, RbacAuthorizationV1Api } from "@kubernetes/client-node";
import { Redis } from "ioredis";
import pg from "pg";
import { json, kubeConfig } from "../../sandbox/proofs/project.ts";
import { type BasicRegistry, startBasicRegistry } from "../support/basic-registry.ts";
import { startKeyProxy, type KeyHeader } from "../support/key-proxy.ts";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { previewPlatform, projects, succeeded, unchanged } from "../support/stage.ts";
import { variable, withVariables } from "../support/variables.ts";

/** A system's credential, with its current variables. `rotate` replaces it and revokes the old one. */
interface Credential {
  readonly variables: () => Readonly<Record<string, string>>;
  readonly rotate: () => Promise<unknown>;
  readonly remove: () => Promise<unknown>;
}

const secret = () => randomBytes(16).toString("hex");
const NAME = `rotator-${randomBytes(4).toString("hex")}`;

describe("rotating every credential after up", function () {
  this.timeout(400_000);
  const project = projects();
  let credentials: Credential[];
  let registry: BasicRegistry;

  before(async () => {
    registry = await startBasicRegistry();
    credentials = [
      await gitea(),
      // The stand-ins and PowerDNS cannot change their key while they run, so a proxy changes it.
      await proxied("WOODPECKER_URL", "WOODPECKER_TOKEN", bearer),
      await proxied("CITADEL_URL", "CITADEL_API_KEY", bearer, "ck_"),
      await proxied("POWERDNS_URL", "POWERDNS_API_KEY", (key) => ["x-api-key", key]),
      await registryAccount(registry, "REGISTRY_USERNAME", "REGISTRY_PASSWORD"),
      await registryAccount(registry, "REGISTRY_CI_USERNAME", "REGISTRY_CI_PASSWORD"),
      await postgres(),
      await redis(),
      await kubernetes(),
    ];
  });
  after(async () => {
    for (const { remove } of credentials) await remove();
    await registry.stop();
  });

  const variables = (): Record<string, string | undefined> => ({
    // Without this secret, all pipelines share the account that is rotated here.
    REGISTRY_TOKEN_SECRET: undefined,
    ...Object.fromEntries(credentials.flatMap((each) => Object.entries(each.variables()))),
  });

  it("does not change a preview, and destroy leaves nothing", async () => {
    const one = await project();
    const { CITADEL_URL, CITADEL_API_KEY } = process.env;
    const before = variables();
    succeeded(await withVariables(before, () => one.up()));
    for (const { rotate } of credentials) await rotate();

    const old = await withVariables({ ...before, PULUMI_CONTINUE_ON_ERROR: "true" }, () =>
      one.refresh(),
    );
    assert.equal(old.result, "failed");
    assert.deepEqual(new Set(old.errors.map(({ code }) => code)), new Set(["RDEV_UNAUTHORIZED"]));

    await withVariables(variables(), async () => {
      unchanged(await one.preview());
      // The agent's configuration contains Citadel's address, which the proxy changes.
      unchanged(await withVariables({ CITADEL_URL, CITADEL_API_KEY }, previewPlatform));
      succeeded(await one.destroy());
    });
    assert.deepEqual(await one.onServers(), []);
  });
});

const bearer: KeyHeader = (key) => ["authorization", `Bearer ${key}`];

async function proxied(
  url: string,
  credential: string,
  header: KeyHeader,
  prefix?: string,
): Promise<Credential> {
  const proxy = await startKeyProxy(variable(url), variable(credential), header, prefix);
  return {
    variables: () => ({ [url]: proxy.url, [credential]: proxy.key }),
    rotate: () => Promise.resolve(proxy.rotate()),
    remove: () => proxy.close(),
  };
}

/** A second administrator, who gets a new token for the rotation. */
async function gitea(): Promise<Credential> {
  const api = `${variable("GITEA_URL")}/api/v1`;
  const admin = { authorization: `token ${variable("GITEA_TOKEN")}` };
  const password = secret();
  const own = {
    authorization: `Basic ${Buffer.from(`${NAME}:${password}`).toString("base64")}`,
  };
  await json(`${api}/admin/users`, admin, {
    method: "POST",
    status: 201,
    body: {
      username: NAME,
      email: `${NAME}@example.test`,
      password,
      must_change_password: false,
    },
  });
  await json(`${api}/admin/users/${NAME}`, admin, {
    method: "PATCH",
    body: { login_name: NAME, source_id: 0, admin: true },
  });
  const makeToken = (name: string) =>
    json<{ sha1: string }>(`${api}/users/${NAME}/tokens`, own, {
      method: "POST",
      status: 201,
      body: { name, scopes: ["write:organization", "write:repository"] },
    });
  let token = (await makeToken("first")).sha1;
  return {
    variables: () => ({ GITEA_TOKEN: token }),
    rotate: async () => {
      token = (await makeToken("second")).sha1;
      await json(`${api}/users/${NAME}/tokens/first`, own, { method: "DELETE", status: 204 });
    },
    remove: () =>
      json(`${api}/admin/users/${NAME}?purge=true`, admin, { method: "DELETE", status: 204 }),
  };
}

/** An account on a registry whose accounts can change. Those of the sandbox's registry are derived. */
async function registryAccount(
  registry: BasicRegistry,
  username: string,
  password: string,
): Promise<Credential> {
  const account = `${NAME}-${username.toLowerCase().replaceAll("_", "-")}`;
  let value = secret();
  await registry.setAccount(account, value);
  return {
    variables: () => ({ [username]: account, [password]: value, REGISTRY_URL: registry.url }),
    rotate: () => {
      value = secret();
      return registry.setAccount(account, value);
    },
    remove: () => registry.setAccount(account),
  };
}

async function postgres(): Promise<Credential> {
  const role = NAME.replaceAll("-", "_");
  let password = secret();
  const query = async (statement: string) => {
    const client = new pg.Client({ connectionString: variable("POSTGRES_ADMIN_URL") });
    await client.connect();
    await client.query(statement).finally(() => client.end());
  };
  await query(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD '${password}'`);
  return {
    variables: () => ({ POSTGRES_ADMIN_URL: withUser("POSTGRES_ADMIN_URL", role, password) }),
    rotate: () => {
      password = secret();
      return query(`ALTER ROLE ${role} PASSWORD '${password}'`);
    },
    remove: () => query(`DROP OWNED BY ${role}; DROP ROLE ${role}`),
  };
}

async function redis(): Promise<Credential> {
  let password = secret();
  const acl = async (...words: string[]) => {
    const client = new Redis(variable("REDIS_ADMIN_URL"));
    await client.call("ACL", ...words).finally(() => client.disconnect());
  };
  const set = () => acl("SETUSER", NAME, "reset", "on", `>${password}`, "~*", "&*", "+@all");
  await set();
  return {
    variables: () => ({ REDIS_ADMIN_URL: withUser("REDIS_ADMIN_URL", NAME, password) }),
    rotate: () => {
      password = secret();
      return set();
    },
    remove: () => acl("DELUSER", NAME),
  };
}

/** A second ServiceAccount for the rotation. Deleting the first one revokes its token. */
async function kubernetes(): Promise<Credential> {
  const config = kubeConfig(runningSandbox());
  const core = config.makeApiClient(CoreV1Api);
  const rbac = config.makeApiClient(RbacAuthorizationV1Api);
  const namespace = "default";
  const names = [`${NAME}-1`, `${NAME}-2`];
  await rbac.createClusterRoleBinding({
    body: {
      metadata: { name: NAME },
      roleRef: {
        apiGroup: "rbac.authorization.k8s.io",
        kind: "ClusterRole",
        name: "cluster-admin",
      },
      subjects: names.map((name) => ({ kind: "ServiceAccount", name, namespace })),
    },
  });
  const make = async (name = "") => {
    await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name } } });
    const { status } = await core.createNamespacedServiceAccountToken({
      namespace,
      name,
      body: { spec: { audiences: [] } },
    });
    return writeKubeconfig({ token: status?.token ?? "" });
  };
  const remove = (name = "") => core.deleteNamespacedServiceAccount({ namespace, name });
  let current = names[0];
  let file = await make(current);
  return {
    variables: () => ({ KUBECONFIG: file }),
    rotate: async () => {
      const last = current;
      file = await make((current = names[1]));
      await remove(last);
    },
    remove: async () => {
      await remove(current);
      await rbac.deleteClusterRoleBinding({ name: NAME });
    },
  };
}

function withUser(name: string, username: string, password: string): string {
  return Object.assign(new URL(variable(name)), { username, password }).href;
}
