import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { deleteOldBackups } from "../../automation/backup/backup.ts";
import { runCli } from "./run-cli.ts";

describe("rdev-infra backup and restore", () => {
  let folder: string;
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "rdev-backup-cli-"))));
  afterEach(() => rm(folder, { recursive: true }));

  /** No database and no backend: a refusal comes before either is needed. */
  const refused = async (args: string[], message: RegExp) => {
    const variables = { DATABASE_URL: "postgres://u@127.0.0.1:1/none", PULUMI_BACKEND_URL: "" };
    const { code, stdout, stderr } = await runCli(args, { variables });
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, message);
    assert.ok(!stderr.includes("AGE-SECRET-KEY-1Q"), stderr);
  };

  it("refuses a backup without a key, unless it may be unencrypted", async () => {
    const to = ["backup", "--to", folder];
    await refused(to, /^RDEV_BACKUP_KEY: .*--recipient .*--unencrypted/);
    const secret = await generateIdentity();
    await refused([...to, "--recipient", secret], /number 1 is not an age recipient/);
    const recipient = await identityToRecipient(secret);
    await refused([...to, "--recipient", recipient, "--unencrypted"], /either --recipient or/);
    assert.deepEqual(await readdir(folder), []);
  });

  it("refuses a restore without a key, or with a file that is none", async () => {
    const file = join(folder, "one.tar.gz.age");
    await writeFile(file, "AGE-SECRET-KEY-1QUITE-WRONG\n");
    await refused(["restore", file], /--identity/);
    await refused(["restore", file, "--identity", file], /line 1 is no AGE-SECRET-KEY-1…/);
    await refused(["restore", file, "--identity", file, "--unencrypted"], /either --identity or/);
  });

  it("keeps the newest backups, and deletes what killed ones left a day ago", async () => {
    const day = (n: number) => `rdev-infra-2026-01-0${n}T03-00-00-000Z.tar.gz`;
    const names = [
      `${day(1)}.age`,
      day(2),
      `${day(3)}.age`,
      `${day(1)}.age.part`,
      `${day(4)}.part`,
    ];
    for (const name of [...names, "notes.txt", "other.tar.gz.age"]) {
      await writeFile(join(folder, name), "");
    }
    const old = new Date("2026-01-01");
    await utimes(join(folder, `${day(1)}.age.part`), old, old);
    assert.deepEqual(await deleteOldBackups(folder, 2), [`${day(1)}.age`, `${day(1)}.age.part`]);
    assert.deepEqual((await readdir(folder)).toSorted(), [
      "notes.txt",
      "other.tar.gz.age",
      day(2),
      `${day(3)}.age`,
      `${day(4)}.part`,
    ]);
    assert.deepEqual(await deleteOldBackups(folder, 5), []);
  });
});
