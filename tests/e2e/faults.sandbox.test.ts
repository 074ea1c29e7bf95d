import assert from "node:assert/strict";
import type { ErrorCode } from "../../core/errors.ts";
import { json, variable } from "../../sandbox/proofs/project.ts";
import { startFaultyProxy, type FaultyProxy } from "../support/faulty-proxy.ts";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { proveAlone } from "../support/proofs.ts";
import { projects, succeeded, unchanged, type Project, type Run } from "../support/stage.ts";
import { withVariables } from "../support/variables.ts";

const NOWHERE = "127.0.0.1:1";
const WRONG = "wrong-4711-credential";

/** A variable of Pulumi: after an error, an `up` continues with resources that do not depend on it. */
const ALL_ERRORS = { PULUMI_CONTINUE_ON_ERROR: "true" };

describe("an up that fails halfway", function () {
  this.timeout(400_000);
  const project = projects();
  const proxies: FaultyProxy[] = [];

  afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));

  async function proxyOf({ place }: Project, name: string): Promise<FaultyProxy> {
    const proxy = await startFaultyProxy(variable(place, name));
    proxies.push(proxy);
    return proxy;
  }

  async function upFails(one: Project, variables: Record<string, string>): Promise<Run> {
    const run = await withVariables({ ...ALL_ERRORS, ...variables }, () => one.up());
    assert.equal(run.result, "failed");
    return run;
  }

  /** Each error must have the code, and each text must match exactly one error. */
  function assertErrors({ errors }: Run, code: ErrorCode, texts: readonly RegExp[]): void {
    const all = JSON.stringify(errors, undefined, 1);
    assert.deepEqual(new Set(errors.map((error) => error.code)), new Set([code]), all);
    for (const text of texts) {
      assert.equal(errors.filter(({ message }) => text.test(message)).length, 1, `${text}: ${all}`);
    }
    assert.equal(errors.length, texts.length, all);
  }

  async function finishes(one: Project): Promise<void> {
    succeeded(await one.up());
    await proveAlone(one.stage());
    const { organization, slug } = one.place;
    const hooks = await json<unknown[]>(
      `${variable(one.place, "GITEA_URL")}/api/v1/repos/${organization}/${slug}/hooks`,
      { authorization: `token ${variable(one.place, "GITEA_TOKEN")}` },
    );
    assert.equal(hooks.length, 1);
    unchanged(await one.preview());
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  }

  it("names each system that is down or refuses its credentials, and the next up completes it", async () => {
    const one = await project();
    const down = await upFails(one, {
      GITEA_URL: `http://${NOWHERE}`,
      POWERDNS_URL: `http://${NOWHERE}`,
      REGISTRY_URL: `http://${NOWHERE}`,
      POSTGRES_ADMIN_URL: `postgres://admin:${WRONG}@${NOWHERE}/postgres`,
      REDIS_ADMIN_URL: `redis://admin:${WRONG}@${NOWHERE}`,
      CITADEL_URL: `http://${NOWHERE}`,
    });
    const systems = ["Gitea", "PowerDNS", "The registry", "PostgreSQL", "Redis", "Citadel"];
    assertErrors(
      down,
      "RDEV_UNREACHABLE",
      systems.map((name) => new RegExp(`^${name} at \\S*${NOWHERE}`)),
    );
    // The namespace has the environment's id as a label, so it is made after the environment.
    assert.deepEqual(await one.onServers(), []);

    const { place } = one;
    const wrongIn = (name: string) => {
      const url = new URL(variable(place, name));
      url.password = WRONG;
      return url.href;
    };
    const refused = await upFails(one, {
      GITEA_TOKEN: WRONG,
      POWERDNS_API_KEY: WRONG,
      REGISTRY_PASSWORD: WRONG,
      POSTGRES_ADMIN_URL: wrongIn("POSTGRES_ADMIN_URL"),
      REDIS_ADMIN_URL: wrongIn("REDIS_ADMIN_URL"),
      CITADEL_API_KEY: `ck_${WRONG}`,
    });
    assertErrors(refused, "RDEV_UNAUTHORIZED", [
      /GITEA_TOKEN/,
      /POWERDNS_API_KEY/,
      /REGISTRY_USERNAME and REGISTRY_PASSWORD/,
      /POSTGRES_ADMIN_URL/,
      /REDIS_ADMIN_URL/,
      /CITADEL_API_KEY/,
    ]);
    assert.deepEqual(await one.onServers(), []);

    // The running image is read from the cluster before anything is made.
    const noServer = await writeKubeconfig({ server: `https://${NOWHERE}` });
    const noCluster = await upFails(one, { KUBECONFIG: noServer });
    assertErrors(noCluster, "RDEV_UNREACHABLE", [new RegExp(`^Kubernetes at \\S*${NOWHERE}`)]);
    const noKey = await writeKubeconfig({ token: WRONG });
    const noAccess = await upFails(one, { KUBECONFIG: noKey });
    assertErrors(noAccess, "RDEV_UNAUTHORIZED", [/KUBECONFIG/]);

    // Woodpecker is last, so everything else exists by now.
    const noCi = await upFails(one, { WOODPECKER_URL: `http://${NOWHERE}` });
    assertErrors(noCi, "RDEV_UNREACHABLE", [new RegExp(`^Woodpecker at \\S*${NOWHERE}`)]);
    const noToken = await upFails(one, { WOODPECKER_TOKEN: WRONG });
    assertErrors(noToken, "RDEV_UNAUTHORIZED", [/WOODPECKER_TOKEN/]);

    const output = JSON.stringify([noCluster, noAccess, down, refused, noCi, noToken]);
    assert.ok(!output.includes(WRONG), "a credential is in the output");
    await finishes(one);
  });

  it("adopts objects whose creation was never answered, and makes nothing twice", async () => {
    const one = await project();
    const gitea = await proxyOf(one, "GITEA_URL");
    const dns = await proxyOf(one, "POWERDNS_URL");
    const citadel = await proxyOf(one, "CITADEL_URL");
    gitea.loseAnswers("POST", /\/repos$/);
    dns.loseAnswers("PATCH");
    citadel.misbehave({ match: { method: "PUT", path: /\/tenants\// }, status: 500 });
    const first = await upFails(one, {
      GITEA_URL: gitea.url,
      POWERDNS_URL: dns.url,
      CITADEL_URL: citadel.url,
    });
    assertErrors(first, "RDEV_UNREACHABLE", [/^Gitea/, /^PowerDNS/, /^Citadel/]);

    for (const path of [/\/repos\?/, /\/pipelines$/]) {
      const woodpecker = await proxyOf(one, "WOODPECKER_URL");
      woodpecker.loseAnswers("POST", path);
      const next = await upFails(one, { WOODPECKER_URL: woodpecker.url });
      assertErrors(next, "RDEV_UNREACHABLE", [/^Woodpecker/]);
    }
    await finishes(one);
  });
});
