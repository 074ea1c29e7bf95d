import assert from "node:assert/strict";
import program from "../../index.ts";
import { DATABASE, SETTINGS_RECORD } from "../../core/recorded-settings.ts";
import { parsePlatformConfig } from "../../core/settings.ts";
import { record, type RecordOptions, TENANT } from "../support/mocks.ts";
import { PLATFORM } from "../support/platform.ts";

const VARIABLES = {
  GITEA_URL: "http://gitea",
  GITEA_TOKEN: "planted-gitea",
  WOODPECKER_URL: "http://woodpecker",
  WOODPECKER_TOKEN: "planted-woodpecker",
  DNS_PROVIDER: "powerdns",
  POWERDNS_URL: "http://powerdns",
  POWERDNS_API_KEY: "planted-powerdns",
  REGISTRY_URL: "http://registry",
  REGISTRY_USERNAME: "registry",
  REGISTRY_PASSWORD: "planted-registry",
  REGISTRY_TOKEN_SECRET: "planted-secret-of-32-characters-or-more",
  POSTGRES_ADMIN_URL: "postgres://admin:planted-postgres@db/postgres",
  REDIS_ADMIN_URL: "redis://admin:planted-redis@cache",
};
const CITADEL = {
  CITADEL_URL: "https://citadel.test",
  CITADEL_API_KEY: "ck_planted_admin",
  CITADEL_AGENT_KEY: "ck_planted_agent",
};

/** Runs index.ts for a stack, with only these variables of the project. */
async function run(stack: string, variables: Record<string, string>, options: RecordOptions = {}) {
  const before = { ...process.env };
  for (const name of Object.keys(process.env)) {
    if (/^(GITEA|WOODPECKER|DNS|POWERDNS|CLOUDFLARE|REGISTRY|POSTGRES|REDIS|CITADEL)_/.test(name)) {
      delete process.env[name];
    }
  }
  Object.assign(process.env, variables);
  try {
    return await record(program, { stack, ...options });
  } finally {
    process.env = before;
  }
}

const platform = { settings: parsePlatformConfig(PLATFORM), citadelTenantId: TENANT };

describe("the platform stack", () => {
  const config = {
    ...PLATFORM,
    workloads: JSON.stringify([
      { kind: "Deployment", namespace: "rdev", name: "rdev-api" },
      { kind: "StatefulSet", namespace: "rdev", name: "claudebox" },
    ]),
  };

  it("makes the log agent, the environment and both groups, and labels existing workloads", async () => {
    const { one, byType, result } = await run("staging", CITADEL, { config });
    assert.deepEqual(
      byType("citadel:Group").map(({ inputs }) => inputs["name"]),
      ["platform", "projects"],
    );
    assert.equal(one("citadel:Environment").inputs["slug"], "rdev-platform");
    one("kubernetes:apps/v1:DaemonSet");
    one("kubernetes:apps/v1:DeploymentPatch");
    one("kubernetes:apps/v1:StatefulSetPatch");
    assert.deepEqual(result, {
      settings: parsePlatformConfig(config),
      citadelTenantId: TENANT,
    });
  });

  it("gives the agent the key that only permits ingest", async () => {
    const { one, all } = await run("staging", CITADEL, { config });
    const secret = one("kubernetes:core/v1:Secret").inputs["stringData"] as Record<string, string>;
    assert.equal(secret["api-key"], "ck_planted_agent");
    assert.ok(!JSON.stringify(all).includes("ck_planted_admin"));
  });

  it("fails before anything is made if the agent would get the management key", async () => {
    const { CITADEL_AGENT_KEY: _, ...without } = CITADEL;
    const same = { ...CITADEL, CITADEL_AGENT_KEY: CITADEL.CITADEL_API_KEY };
    for (const variables of [without, same]) {
      await assert.rejects(
        run("staging", variables, { config }),
        /^Error: RDEV_CONNECTION: CITADEL_AGENT_KEY is .*"useManagementKey": true/,
      );
    }
  });

  it("fails before anything is made if the schedule of drift does not exist", async () => {
    const drift = JSON.stringify({ schedule: "0 25 * * *" });
    await assert.rejects(
      run("staging", CITADEL, { config: { ...config, drift } }),
      /RDEV_SETTINGS: The schedule "0 25 \* \* \*" in .* cannot be used/,
    );
  });

  it("gives the agent the management key if the setting allows it", async () => {
    const { CITADEL_AGENT_KEY: _, ...without } = CITADEL;
    const agent = JSON.stringify({ useManagementKey: true });
    const { one } = await run("staging", without, { config: { ...config, agent } });
    const secret = one("kubernetes:core/v1:Secret").inputs["stringData"] as Record<string, string>;
    assert.equal(secret["api-key"], "ck_planted_admin");
  });

  it("makes the policy for environments before the agent and the labels of existing workloads", async () => {
    const { all } = await run("staging", CITADEL, { config });
    const order = all.filter(({ custom }) => custom).map(({ type }) => type.split(":").at(-1));
    const last = order.lastIndexOf("ValidatingAdmissionPolicyBinding");
    assert.notEqual(last, -1);
    for (const later of ["DaemonSet", "DeploymentPatch", "StatefulSetPatch"]) {
      assert.ok(order.indexOf(later) > last, later);
    }
  });

  it("claims its names in the cluster before it makes anything but its id", async () => {
    const { all, one } = await run("staging", CITADEL, { config });
    const order = all.filter(({ custom }) => custom).map(({ type }) => type.split(":").at(-1));
    assert.deepEqual(order.slice(0, 2), ["RandomId", "ClusterClaim"]);
    const { inputs } = one("kubernetes:ClusterClaim");
    assert.equal(inputs["namespace"], "observability");
    assert.deepEqual(inputs["policies"], [
      "deploy.staging.rdev.io",
      "placement.staging.rdev.io",
      "pod-environment.rdev.io",
      "namespace-environment.rdev.io",
    ]);
    assert.deepEqual(inputs["clusterRoles"], ["rdev-infra:citadel-agent"]);
  });

  it("runs the agent in the namespace of the setting, with a NetworkPolicy", async () => {
    const named = { ...config, agentNamespace: "logs", prometheusNamespace: "metrics" };
    const { one } = await run("staging", CITADEL, { config: named });
    assert.equal(one("kubernetes:Namespace").inputs["name"], "logs");
    const { metadata, spec } = one("kubernetes:networking.k8s.io/v1:NetworkPolicy").inputs as {
      metadata: { namespace: string };
      spec: { ingress: unknown };
    };
    assert.equal(metadata.namespace, "logs");
    const prometheus = { matchLabels: { "kubernetes.io/metadata.name": "metrics" } };
    assert.deepEqual(spec.ingress, [
      {
        from: [{ podSelector: {} }, { namespaceSelector: prometheus }],
        ports: [{ protocol: "TCP", port: 2020 }],
      },
    ]);
  });

  it("gives the policies for the whole cluster the actions of the setting, and those for projects Deny", async () => {
    const policyActions = JSON.stringify(["Warn", "Audit"]);
    const { byType } = await run("staging", CITADEL, { config: { ...config, policyActions } });
    const actions = byType(
      "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding",
    ).map(({ name, inputs }) => [
      name,
      (inputs["spec"] as { validationActions: string[] }).validationActions,
    ]);
    assert.deepEqual(Object.fromEntries(actions), {
      "environment-policy-pods": ["Warn", "Audit"],
      "environment-policy-namespaces": ["Warn", "Audit"],
      "project-policy-deploy": ["Deny"],
      "project-policy-placement": ["Deny"],
    });
    for (const wrong of [[], ["Deny", "Warn"], ["Audit", "Audit"], ["Refuse"]]) {
      await assert.rejects(
        run("staging", CITADEL, { config: { ...config, policyActions: JSON.stringify(wrong) } }),
        /rdev:policyActions/,
      );
    }
  });

  it("makes no agent and needs no variables if Citadel is switched off", async () => {
    const { byType, one } = await run("staging", { CITADEL_ENABLED: "false" }, { config });
    assert.equal(byType("kubernetes:apps/v1:DaemonSet").length, 0);
    assert.equal(byType("rdev:components:EnvironmentPolicy").length, 0);
    // The limits of pipelines do not depend on Citadel.
    assert.equal(byType("rdev:components:ProjectPolicy").length, 1);
    assert.equal(one("citadel:Environment").inputs["enabled"], false);
  });

  it("registers the webhook for alerts if it is set, without its secret in an input", async () => {
    assert.equal((await run("staging", CITADEL, { config })).byType("citadel:Webhook").length, 0);
    const url = "https://alerts.example.test/citadel";
    const withWebhook = { config: { ...config, alertWebhook: JSON.stringify({ url }) } };
    const variables = { ...CITADEL, CITADEL_WEBHOOK_SECRET: "planted-webhook-secret" };
    const { one, all } = await run("staging", variables, withWebhook);
    assert.equal(one("citadel:Webhook").inputs["url"], url);
    assert.ok(!JSON.stringify(all).includes("planted-webhook-secret"));
    await assert.rejects(run("staging", CITADEL, withWebhook), /CITADEL_WEBHOOK_SECRET is missing/);
    const off = { CITADEL_ENABLED: "false" };
    assert.equal((await run("staging", off, withWebhook)).byType("citadel:Webhook").length, 0);
  });

  it("refuses an address for alerts that is not a URL", async () => {
    const alertWebhook = JSON.stringify({ url: "ftp://alerts.example.test" });
    await assert.rejects(
      run("staging", CITADEL, { config: { ...config, alertWebhook } }),
      /rdev:alertWebhook\.url: is not an http or https URL/,
    );
  });

  it("names every missing setting", async () => {
    await assert.rejects(
      run("staging", CITADEL, { config: { domain: "a.test" } }),
      (error: Error) =>
        ["RDEV_SETTINGS", "rdev:gitOrganization", "rdev:registry", "rdev:ingressAddress"].every(
          (word) => error.message.includes(word),
        ),
    );
  });
});

describe("the project stack", () => {
  const variables = { ...VARIABLES, ...CITADEL };
  const config = { name: "My App" };

  it("makes everything that a project needs", async () => {
    const { all, result } = await run("staging.my-app", variables, { config, platform });
    const components = all
      .filter(({ type }) => type.startsWith("rdev:components:"))
      .map(({ type }) => type.replace("rdev:components:", ""))
      .sort();
    assert.deepEqual(components, [
      "BuildTrigger",
      "Cache",
      "CiPipeline",
      "CitadelEnvironment",
      "Database",
      "DeployAccount",
      "Deployment",
      "DnsRecord",
      "GitRepo",
      "ImageRepository",
      "ProjectNamespace",
      "SettingsRecord",
      "TemplateSeed",
    ]);
    const outputs = result as Record<string, unknown>;
    assert.equal(outputs["url"], "https://my-app.staging.example.test");
    assert.equal(outputs["citadelTenantId"], TENANT);
    assert.equal(outputs["name"], "My App");
  });

  it("starts from the settings in its state, and records the changes of the config", async () => {
    const recorded = { name: "Shop", sizes: { replicas: 3, cpuLimit: "400m" }, retainData: true };
    const state = { record: { type: SETTINGS_RECORD, outputs: { settings: recorded } } };
    const options = { config: { sizes: '{"cpuLimit":"600m"}' }, state, platform };
    const { one, result } = await run("staging.my-app", variables, options);
    assert.equal((result as Record<string, unknown>)["name"], "Shop");
    assert.equal(one("postgres:Database").inputs["retain"], true);
    const { spec } = one("kubernetes:apps/v1:Deployment").inputs as { spec: { replicas: number } };
    assert.equal(spec.replicas, 3);
    assert.deepEqual(one(SETTINGS_RECORD).inputs["settings"], {
      name: "Shop",
      sizes: { replicas: 3, cpuLimit: "600m" },
      retainData: true,
    });
  });

  it("runs no pods while it is stopped, and the recorded number of them after that", async () => {
    const recorded = { sizes: { replicas: 3 }, stopped: true };
    const state = { record: { type: SETTINGS_RECORD, outputs: { settings: recorded } } };
    const replicas = async (config: Record<string, string>) => {
      const { one } = await run("staging.my-app", variables, { config, state, platform });
      const { spec } = one("kubernetes:apps/v1:Deployment").inputs as {
        spec: { replicas: number };
      };
      return spec.replicas;
    };
    assert.equal(await replicas({ name: "My App" }), 0);
    assert.equal(await replicas({ stopped: "false" }), 3);
  });

  it("takes retain settings from its resources if its state has no record yet", async () => {
    const state = { database: { type: DATABASE, outputs: { retain: true } } };
    const { one } = await run("staging.my-app", variables, { config, state, platform });
    assert.equal(one("postgres:Database").inputs["retain"], true);
    assert.deepEqual(one(SETTINGS_RECORD).inputs["settings"], { name: "My App", retainData: true });
  });

  it("gives the template the environment's id", async () => {
    const { one } = await run("staging.my-app", variables, { config, platform });
    const { environment } = one("command:local:Command").inputs as {
      environment: Record<string, string>;
    };
    const given = JSON.parse(environment["SEED_VALUES"] ?? "") as Record<string, string>;
    assert.equal(given["CITADEL_TENANT_ID"], TENANT);
    assert.equal(given["PROJECT_NAME"], "My App");
    assert.equal(given["IMAGE"], "registry.example.test/my-app");
  });

  it("puts no credential of a system into any input", async () => {
    const { all } = await run("staging.my-app", variables, { config, platform });
    assert.ok(!JSON.stringify(all).includes("planted"));
  });

  it("marks every generated password, and every value with one, as secret", async () => {
    const { all } = await run("staging.my-app", variables, { config, platform });
    for (const { type, name, inputs, secrets } of all) {
      for (const [key, value] of Object.entries(inputs)) {
        if (!JSON.stringify(value).includes("password-of-")) continue;
        assert.ok(secrets.includes(key), `${type} ${name}: ${key} is not secret`);
      }
    }
  });

  it("gives pods the platform's addresses of PostgreSQL and Redis, and its permissions there", async () => {
    const settings = parsePlatformConfig({
      ...PLATFORM,
      databaseAddress: '{"host":"postgres.data.svc","sslmode":"require"}',
      cacheAddress: '{"host":"redis.data.svc","tls":true}',
      cache: '{"scripts":true}',
    });
    const { one, result } = await run("staging.my-app", variables, {
      config,
      platform: { ...platform, settings },
    });
    const { databaseUrl, cacheUrl } = result as { databaseUrl: string; cacheUrl: string };
    assert.match(databaseUrl, /@postgres\.data\.svc:5432\/my_app\?sslmode=require$/);
    assert.match(cacheUrl, /^rediss:.*@redis\.data\.svc:6379$/);
    assert.match(String(one("redis:User").inputs["commands"]), / \+eval /);
  });

  it("comes up on a platform that an older version brought up", async () => {
    const { cache: _, ...settings } = platform.settings;
    const { one } = await run("staging.my-app", variables, {
      config,
      platform: { ...platform, settings },
    });
    assert.doesNotMatch(String(one("redis:User").inputs["commands"]), /\+eval/);
  });

  /** Runs the program and returns its warnings with the recorded resources. */
  async function warned(given: Record<string, string>, more: Record<string, string>) {
    const settings = parsePlatformConfig({ ...PLATFORM, ...more });
    const warnings: string[] = [];
    const { warn } = console;
    console.warn = (text: string) => void warnings.push(text);
    try {
      const recorded = await run("staging.my-app", given, {
        config,
        platform: { ...platform, settings },
      });
      assert.ok(!warnings.join().includes("planted"));
      return { text: warnings.join("\n"), ...recorded };
    } finally {
      console.warn = warn;
    }
  }

  it("warns if pods would get a loopback address of PostgreSQL or Redis", async () => {
    const forwarded = {
      ...variables,
      POSTGRES_ADMIN_URL: "postgres://admin:planted-postgres@localhost:15432/postgres",
      REDIS_ADMIN_URL: "redis://admin:planted-redis@[::1]:16379",
    };
    const { text } = await warned(forwarded, {});
    assert.match(text, /POSTGRES_ADMIN_URL points to localhost.*rdev:databaseAddress/);
    assert.match(text, /REDIS_ADMIN_URL points to \[::1\].*rdev:cacheAddress/);
    assert.equal((await warned(variables, {})).text, "");
    const addresses = { databaseAddress: '{"host":"db"}', cacheAddress: '{"host":"cache"}' };
    assert.equal((await warned(forwarded, addresses)).text, "");
  });

  describe("with REGISTRY_TOKEN_SECRET", () => {
    it("gives the pipeline and the pods registry accounts of the project, marked as secret", async () => {
      const { one, all } = await run("staging.my-app", variables, { config, platform });
      const credentials = one("woodpecker:RegistryCredentials");
      const { username, password } = credentials.inputs["account"] as Record<string, string>;
      assert.equal(username, "staging.my-app.push.1");
      assert.ok(credentials.secrets.includes("account"));

      const account = one("kubernetes:core/v1:ServiceAccount", "my-app").inputs;
      assert.deepEqual(account["imagePullSecrets"], [{ name: "registry-pull" }]);
      const pull = one("kubernetes:core/v1:Secret", "my-app-registry");
      assert.equal(pull.inputs["type"], "kubernetes.io/dockerconfigjson");
      const data = pull.inputs["stringData"] as Record<string, string>;
      const { auths } = JSON.parse(data[".dockerconfigjson"] ?? "") as {
        auths: Record<string, Record<string, string>>;
      };
      assert.deepEqual(Object.keys(auths), ["registry.example.test"]);
      assert.equal(auths["registry.example.test"]?.["username"], "staging.my-app.pull.1");
      assert.notEqual(auths["registry.example.test"]?.["password"], password);
      assert.ok(pull.secrets.includes("stringData"));
      assert.equal(one("registry:Repository").inputs["accountVersion"], 1);
      const holders = all.filter(({ inputs }) => JSON.stringify(inputs).includes(password ?? ""));
      assert.deepEqual(
        holders.map(({ type }) => type),
        [credentials.type],
      );
    });

    it("starts with the placeholder of the platform's registry, or with the platform's own", async () => {
      const fallback = async (more: object) => {
        const { placeholderImage: _, ...rest } = PLATFORM;
        const settings = parsePlatformConfig({ ...rest, ...more });
        const { one } = await run("staging.my-app", variables, {
          config,
          platform: { ...platform, settings },
        });
        return one("kubernetes:RunningImage").inputs["fallback"];
      };
      const registry = "r.example.test:5000/team";
      assert.match(
        String(await fallback({ registry })),
        /^r\.example\.test:5000\/rdev-infra\/placeholder:\d+\.\d+\.\d+$/,
      );
      assert.equal(await fallback({ registry, placeholderImage: "own:1" }), "own:1");
    });

    it("names images below the registry's path, and logs in to its host", async () => {
      const settings = parsePlatformConfig({ ...PLATFORM, registry: "r.example.test:5000/team" });
      const { one } = await run("staging.my-app", variables, {
        config,
        platform: { ...platform, settings },
      });
      const { path, prefix } = one("registry:Repository").inputs;
      assert.deepEqual([path, prefix], ["my-app", "team"]);
      const { environment } = one("command:local:Command").inputs as {
        environment: Record<string, string>;
      };
      const given = JSON.parse(environment["SEED_VALUES"] ?? "") as Record<string, string>;
      assert.equal(given["IMAGE"], "r.example.test:5000/team/my-app");
      assert.equal(given["REGISTRY_HOST"], "r.example.test:5000");
      const secret = one("kubernetes:core/v1:Secret", "my-app-registry").inputs["stringData"];
      assert.ok(JSON.stringify(secret).includes('{\\"r.example.test:5000\\":'));
    });
  });

  describe("without REGISTRY_TOKEN_SECRET", () => {
    const { REGISTRY_TOKEN_SECRET: _, ...before } = variables;
    const ci = { REGISTRY_CI_USERNAME: "ci", REGISTRY_CI_PASSWORD: "planted-ci" };

    it("works as the older version did, and warns that pipelines share an account", async () => {
      const { text, one, byType } = await warned({ ...before, ...ci }, {});
      assert.match(text, /All pipelines use one account.*REGISTRY_TOKEN_SECRET/s);
      assert.ok(!("account" in one("woodpecker:RegistryCredentials").inputs));
      assert.ok(!("accountVersion" in one("registry:Repository").inputs));
      const secrets = byType("kubernetes:core/v1:Secret").map(({ name }) => name);
      assert.ok(!secrets.includes("my-app-registry"), "no state holds the shared account");
    });

    it("says so if that account is the administrator's", async () => {
      assert.match(
        (await warned(before, {})).text,
        /the administrator's account.*and delete them/s,
      );
    });

    it("is refused if the platform requires accounts for each project", async () => {
      await assert.rejects(
        warned({ ...before, ...ci }, { registryAccounts: "project" }),
        /RDEV_CONNECTION: REGISTRY_TOKEN_SECRET is missing/,
      );
    });
  });

  it("shares one account if the platform says so, with a warning", async () => {
    const { text, one } = await warned(variables, { registryAccounts: "shared" });
    assert.match(text, /All pipelines use/);
    assert.equal(one("registry:Repository").inputs["accountVersion"], 0);
    assert.ok(!("account" in one("woodpecker:RegistryCredentials").inputs));
  });

  it("previews while all outputs are unknown", async () => {
    const { byType } = await run("staging.my-app", variables, { config, platform, preview: true });
    assert.equal(byType("gitea:Repository").length, 1);
  });

  it("works without Citadel and its variables", async () => {
    const { one } = await run(
      "staging.my-app",
      { ...VARIABLES, CITADEL_ENABLED: "false" },
      { config, platform },
    );
    const { template } = one("kubernetes:apps/v1:Deployment").inputs["spec"] as {
      template: { metadata: { labels: Record<string, string> } };
    };
    assert.ok(!("citadel.io/environment" in template.metadata.labels));
  });

  it("names the missing variables of all systems in one error", async () => {
    const { GITEA_TOKEN: _, REDIS_ADMIN_URL: __, ...rest } = VARIABLES;
    await assert.rejects(run("staging.my-app", rest, { config, platform }), (error: Error) =>
      ["RDEV_CONNECTION", "GITEA_TOKEN", "REDIS_ADMIN_URL", "CITADEL_URL", "CITADEL_API_KEY"].every(
        (word) => error.message.includes(word),
      ),
    );
  });

  it("is refused if its platform was never brought up", async () => {
    await assert.rejects(run("staging.my-app", variables, { config }), /RDEV_PLATFORM.*"staging"/s);
  });

  it("is refused if its template does not exist", async () => {
    await assert.rejects(
      run("staging.my-app", variables, { config: { template: "nothing" }, platform }),
      /RDEV_TEMPLATE.*"nothing"/s,
    );
  });
});

describe("a stack's name", () => {
  it("is refused if it has neither form", async () => {
    await assert.rejects(run("Staging.My_App", {}), /RDEV_STACK_NAME/);
  });
});
