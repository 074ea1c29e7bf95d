import assert from "node:assert/strict";
import { DATABASE, SETTINGS_RECORD } from "../../core/recorded-settings.ts";
import { parsePlatformConfig } from "../../core/settings.ts";
import { TENANT } from "../support/mocks.ts";
import { CITADEL, platform, run, VARIABLES } from "../support/stacks.ts";
import { PLATFORM } from "../support/platform.ts";

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
    assert.match(String(outputs["pipeline"]), /^http:\/\/woodpecker\/repos\/\d+$/);
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
