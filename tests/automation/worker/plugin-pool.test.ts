import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { workerProcesses } from "../../../automation/worker/environment.ts";
import { type PluginLease, PluginPool } from "../../../automation/worker/plugin-pool.ts";
import { until } from "../../../sandbox/process.ts";
import { withVariables } from "../../support/variables.ts";

/**
 * A plugin that prints a port and leaves a process behind if a file says so. It prints after its last
 * `exec`: while a process replaces its program, /proc shows it without variables.
 */
const PLUGIN = `#!/bin/sh
cd "$(dirname "$0")"
[ -e child ] && sleep 1000 &
[ -e broken ] && exit 1
echo 1 >port-$$
exec tail -f port-$$
`;

describe("the pool of plugins", () => {
  let folder: string;
  let mark: string;
  const pools: PluginPool[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-plugins-"));
    mark = randomUUID();
    for (const name of ["random", "command"]) await install(name);
  });
  afterEach(async () => {
    for (const pool of pools.splice(0)) pool.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function install(name: string): Promise<string> {
    const path = join(folder, `pulumi-resource-${name}`);
    await writeFile(path, PLUGIN);
    await chmod(path, 0o755);
    return path;
  }
  function open(limits: ConstructorParameters<typeof PluginPool>[0]["limits"] = {}): PluginPool {
    const pool = new PluginPool({ mark, memoryMb: 300, limits });
    pools.push(pool);
    return pool;
  }
  /** A lease whose plugins run. */
  async function lend(pool: PluginPool, variables: Record<string, string> = {}) {
    const all = {
      PATH: [folder, "/usr/bin", "/bin"].join(delimiter),
      PULUMI_HOME: join(folder, "home"),
      KUBECONFIG: join(folder, "kubeconfig"),
      ...variables,
    };
    const lease = await withVariables(all, () => pool.lease());
    assert.ok(lease);
    await lease.ports.catch(() => undefined);
    return lease;
  }
  const pidsOf = ({ mark: own }: PluginLease) => workerProcesses(own).toSorted();
  const haveEnded = (lease: PluginLease) => until(() => assert.deepEqual(pidsOf(lease), []));

  it("lends the plugins of one operation to the next, and to one at a time", async () => {
    const pool = open();
    const one = await lend(pool);
    const other = await lend(pool);
    assert.deepEqual(one.names, ["random", "command"]);
    assert.deepEqual(await one.ports, { random: 1, command: 1 });
    assert.equal(pidsOf(one).length, 2);
    const used = pidsOf(one);
    assert.deepEqual(
      pidsOf(other).filter((pid) => used.includes(pid)),
      [],
    );
    one.giveBack();
    assert.deepEqual(pidsOf(await lend(pool)), used);
    assert.equal(pidsOf(await lend(pool)).filter((pid) => used.includes(pid)).length, 0);
  });

  it("ends discarded plugins with all that they started, whatever is said later", async () => {
    await writeFile(join(folder, "child"), "");
    const pool = open();
    const lease = await lend(pool);
    await until(() => assert.equal(pidsOf(lease).length, 4));
    lease.discard();
    lease.giveBack();
    await haveEnded(lease);
    assert.notEqual((await lend(pool)).mark, lease.mark);
  });

  it("ends plugins that left a process behind", async () => {
    await writeFile(join(folder, "child"), "");
    const lease = await lend(open());
    await until(() => assert.equal(pidsOf(lease).length, 4));
    lease.giveBack();
    await haveEnded(lease);
  });

  const given = async (pool: PluginPool) => {
    const lease = await lend(pool);
    lease.giveBack();
    return lease;
  };
  for (const [what, change, variables] of [
    ["a variable of a connection", () => undefined, { GITEA_TOKEN: "another" }],
    ["the kubeconfig", () => writeFile(join(folder, "kubeconfig"), "another"), {}],
    ["a plugin's program", async () => utimes(await install("random"), 1, 1), {}],
    ["which plugins are installed", () => install("kubernetes"), {}],
  ] as const) {
    it(`starts others after a change of ${what}`, async () => {
      const pool = open();
      const lease = await given(pool);
      await change();
      assert.notEqual((await lend(pool, variables)).mark, lease.mark);
      await haveEnded(lease);
    });
  }

  it("replaces all plugins of an operation if one dies while no operation uses it", async () => {
    const pool = open();
    const lease = await given(pool);
    process.kill(pidsOf(lease)[0]!, "SIGKILL");
    await haveEnded(lease);
    const next = await lend(pool);
    assert.notEqual(next.mark, lease.mark);
    assert.equal(pidsOf(next).length, 2);
  });

  for (const [what, limits] of [
    ["idle for too long", { idleMs: 1 }],
    ["too old", { ageMs: 0 }],
    ["used too often", { uses: 1 }],
    ["too large", { memoryMb: 0 }],
  ] as const) {
    it(`ends plugins that are ${what}`, async () => {
      await haveEnded(await given(open(limits)));
    });
  }

  it("reports that a plugin did not start, and ends the others", async () => {
    await writeFile(join(folder, "broken"), "");
    const lease = await lend(open());
    await assert.rejects(lease.ports);
    await haveEnded(lease);
  });

  it("lends nothing if no plugin is installed", async () => {
    const variables = { PATH: "/nowhere", PULUMI_HOME: join(folder, "home") };
    assert.equal(await withVariables(variables, () => open().lease()), undefined);
  });

  it("ends all plugins at its end, also those that an operation uses", async () => {
    const pool = open();
    const [idle, used] = [await lend(pool), await lend(pool)];
    idle.giveBack();
    pool.close();
    await haveEnded(idle);
    await haveEnded(used);
    used.giveBack();
    assert.equal(await pool.lease(), undefined);
  });
});
