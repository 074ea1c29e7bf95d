import assert from "node:assert/strict";
import pg from "pg";
import type { UpOptions } from "../../automation/engine/options.ts";
import { destroy, up } from "../../automation/engine/stack.ts";
import { PLATFORM as STAGING } from "../../sandbox/platform.ts";
import { applicationEnvironment, json } from "../../sandbox/proofs/project.ts";
import { provider as environmentProvider } from "../../providers/citadel/environment.ts";
import { fails } from "../support/errors.ts";
import { ownPlatform } from "../support/own-platform.ts";
import { previewPlatform, type Project, projects, succeeded, unchanged } from "../support/stage.ts";
import { variable } from "../support/variables.ts";

const PROD = "prod";

describe("another platform on the same servers with its own backend", function () {
  this.timeout(600_000);
  const newProject = projects();
  let prod: Awaited<ReturnType<typeof ownPlatform>>;

  before(async () => void (prod = await ownPlatform(PROD)));
  after(() => prod.remove());

  const asProd: typeof prod.as = (work, more) => prod.as(work, more);
  const prodUp = (stack: string, options: UpOptions = {}) =>
    up(stack, { workDir: prod.workDir, ...options });
  const prodDestroy = (stack: string) => destroy(stack, { workDir: prod.workDir, remove: true });
  // Log collection belongs to staging. The second test shows that another platform is refused it.
  const off = { CITADEL_ENABLED: "false" };

  const environments = async (slug: string) => {
    const headers = { authorization: `Bearer ${variable("CITADEL_API_KEY")}` };
    const url = `${variable("CITADEL_URL")}/api/v1/tenants?slug=${slug}`;
    return json<{
      tenants: { id: string; organization: string; metadata: Record<string, string> }[];
    }>(url, headers);
  };

  /** Staging's project is unchanged on every server, for its pods, and for its own stack. */
  const isUnharmed = async (project: Project, before: readonly string[], databaseUrl: string) => {
    assert.deepEqual(await project.onServers(), before);
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect(); // the password is still valid
    await client.end();
    const refreshed = succeeded(await project.refresh());
    assert.deepEqual(refreshed.changes.update + refreshed.changes.delete, 0);
    unchanged(await project.preview());
  };

  it("can neither adopt nor delete a project with the same name, on any system", async () => {
    const victim = await newProject();
    succeeded(await victim.up());
    const before = await victim.onServers();
    const environment = await environments(victim.slug);
    const stack = `${PROD}.${victim.slug}`;

    succeeded(await asProd(() => prodUp(PROD), off));
    const refusals = async (more: Record<string, string | undefined> = {}) => {
      const attack = await asProd(() => prodUp(stack, { config: { name: "Prod's" } }), more);
      assert.equal(attack.result, "failed");
      return attack.errors.map(({ code, message }) => `${code}: ${message}`);
    };
    const refused = [
      ...(await refusals()),
      // The namespace depends on the environment, so it is refused only without Citadel.
      ...(await refusals(off)),
    ];
    for (const noun of [
      "Gitea repository",
      "DNS record",
      "registry path",
      "PostgreSQL database",
      "Redis user",
      "Citadel environment",
      "namespace",
    ]) {
      assert.ok(
        refused.some((each) => each.startsWith("RDEV_NOT_OURS: ") && each.includes(` ${noun} `)),
        `${noun} in ${refused.join("\n")}`,
      );
    }
    const databaseUrl = (await applicationEnvironment(victim.stage()))["DATABASE_URL"] ?? "";
    await isUnharmed(victim, before, databaseUrl);

    // Prod's stack now contains only its own objects, none with staging's mark.
    const end = await asProd(() => prodDestroy(stack));
    assert.notEqual(end.result, "cancelled");
    await isUnharmed(victim, before, databaseUrl);
    assert.deepEqual(await environments(victim.slug), environment);

    succeeded(await asProd(() => prodDestroy(PROD), off));
    await isUnharmed(victim, before, databaseUrl);
    succeeded(await victim.destroy());
  });

  it("can neither adopt nor delete the platform's own environment and namespace", async () => {
    const [before] = (await environments("rdev-platform")).tenants;
    assert.equal(before?.metadata["platform"], STAGING);
    const attack = await asProd(() => prodUp(PROD));
    assert.equal(attack.result, "failed");
    const messages = attack.errors.map(({ code, message }) => `${code}: ${message}`).join("\n");
    // The names in the cluster are checked first, so no other system gets a request.
    assert.match(messages, /RDEV_NOT_OURS: .*the Namespace observability/);
    const inputs = {
      slug: "rdev-platform",
      name: "rdev platform",
      organization: before.organization,
      group: "platform",
      enabled: true,
      owner: { platform: PROD, project: PROD, stack: "f".repeat(16) },
    };
    await fails(environmentProvider.create(inputs), "RDEV_NOT_OURS");
    await asProd(() => prodDestroy(PROD));
    assert.deepEqual((await environments("rdev-platform")).tenants, [before]);
    unchanged(await previewPlatform());
  });
});
