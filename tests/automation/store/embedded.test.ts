import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isRunning } from "../../../automation/processes/processes.ts";
import { startEmbeddedPostgres } from "../../../automation/store/embedded.ts";
import { migrate } from "../../../automation/store/migrate.ts";
import { Projects } from "../../../automation/store/projects.ts";
import { Store } from "../../../automation/store/store.ts";
import { rejected } from "../../support/errors.ts";

const PROCESS = fileURLToPath(new URL("../../support/embedded-process.ts", import.meta.url));

describe("the embedded PostgreSQL", function () {
  this.timeout(400_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-data-"));
    await chmod(folder, 0o711);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const withProjects = async <T>(work: (projects: Projects) => Promise<T>): Promise<T> => {
    const server = await startEmbeddedPostgres(folder);
    try {
      const { url, ownerUrl } = server;
      await migrate({ ownerUrl, serviceRole: new URL(url).username });
      const store = new Store({ url });
      try {
        return await work(new Projects(store));
      } finally {
        await store.close();
      }
    } finally {
      await server.stop();
    }
  };

  it("keeps its data over a restart, and lets no other user read its credentials", async () => {
    const project = { slug: "shop", platform: "staging", name: "Shop", citadelTenantId: null };
    await withProjects((projects) => projects.put(project));
    assert.equal((await withProjects((projects) => projects.find("shop")))?.name, "Shop");
    for (const [name, mode] of [
      ["credentials.json", 0o600],
      ["database", 0o700],
    ] as const) {
      assert.equal((await stat(join(folder, name))).mode & 0o777, mode, name);
    }
  });

  it("serves one service only, and stops with it even if that is killed", async () => {
    const other = fork(PROCESS, [folder]);
    await once(other, "message");
    const pid = Number(
      (await readFile(join(folder, "database/postmaster.pid"), "utf8")).split("\n")[0],
    );
    await rejected(startEmbeddedPostgres(folder), /in use by another service/);
    other.kill("SIGKILL");
    await once(other, "exit");
    assert.equal((await withProjects((projects) => projects.find("shop")))?.name, "Shop");
    while (isRunning(pid)) await sleep(20);
  });
});
