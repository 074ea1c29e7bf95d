import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Decrypter, generateIdentity, identityToRecipient } from "age-encryption";
import { gunzipSync, gzipSync } from "node:zlib";
import { extract, pack } from "tar-stream";
import { buffer } from "node:stream/consumers";
import {
  checkRecipients,
  readIdentities,
  type Identities,
  type Recipients,
} from "../../../automation/backup/encryption.ts";
import { type Add, type Entry, HEADER, newHeader } from "../../../automation/backup/format.ts";
import { readArchive } from "../../../automation/backup/read-archive.ts";
import { writeArchive } from "../../../automation/backup/write-archive.ts";
import { MIGRATIONS } from "../../../automation/store/migrate.ts";
import { coded, fails, thrown } from "../../support/errors.ts";

const SECRET = "planted-4711-secret";
const ROWS = Buffer.from(`{"secret": "${SECRET}"}\n`);
/** More than the buffers of all streams hold, and nothing that gzip could make smaller. */
const STATE = randomBytes(1_000_000);

describe("the archive of a backup", function () {
  this.timeout(60_000);
  let folder: string;
  let file: string;
  let identity: string;
  let recipients: string[];

  before(async () => {
    identity = await generateIdentity();
    recipients = [await identityToRecipient(identity)];
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-backup-"));
    file = join(folder, "one.tar.gz.age");
  });
  afterEach(() => rm(folder, { recursive: true }));

  const header = (changes: object = {}) =>
    JSON.stringify({
      ...newHeader({
        version: "0.1.0",
        createdAt: "2026-01-02T03:04:05.000Z",
        migrations: Object.keys(MIGRATIONS),
      }),
      ...changes,
    });
  const write = (how: Recipients = recipients, begin = header()) =>
    writeArchive(file, { recipients: how }, async (add) => {
      await add(HEADER, begin);
      await add("database/projects/1.jsonl", ROWS);
      await add("stacks/staging.json", STATE);
      await add("settings/Pulumi.staging.yaml", "");
      return { projects: 1 };
    });
  const read = async (how: Identities = [identity]) => {
    const entries: Entry[] = [];
    const archive = await readArchive(file, how, async (entry) => void entries.push(entry));
    return { ...archive, read: entries };
  };

  it("gives back what was written, in order, in a file that only its owner may read", async () => {
    const bytes = await write();
    assert.deepEqual(await readdir(folder), ["one.tar.gz.age"]);
    const { size, mode } = await stat(file);
    assert.deepEqual([size, mode & 0o777], [bytes, 0o600]);
    const archive = await read();
    assert.deepEqual(archive.rows, { projects: 1 });
    assert.equal(archive.header.createdAt, "2026-01-02T03:04:05.000Z");
    assert.deepEqual(archive.read, [
      { name: "database/projects/1.jsonl", content: ROWS },
      { name: "stacks/staging.json", content: STATE },
      { name: "settings/Pulumi.staging.yaml", content: Buffer.alloc(0) },
    ]);
  });

  it("is what age, gzip and tar read, and hides its content", async () => {
    await write();
    const encrypted = await readFile(file);
    assert.ok(encrypted.toString("latin1").startsWith("age-encryption.org/v1\n"));
    assert.ok(!encrypted.includes(SECRET) && !encrypted.includes("staging"));
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    const tar = gunzipSync(await decrypter.decrypt(encrypted));
    assert.equal(tar.toString("latin1", 257, 262), "ustar");
    assert.ok(tar.includes(SECRET));
  });

  it("can be read with the key of each recipient", async () => {
    const other = await generateIdentity();
    await write([...recipients, await identityToRecipient(other)]);
    assert.equal((await read([other])).read.length, 3);
    assert.equal((await read([await generateIdentity(), identity])).read.length, 3);
  });

  it("is refused with another key, and the key is not repeated", async () => {
    await write();
    const other = await generateIdentity();
    await fails(coded(read([other])), "RDEV_BACKUP_KEY", [other, identity]);
  });

  it("is refused wherever it was cut", async () => {
    await write();
    const whole = await readFile(file);
    const cuts = [0, 10, 100, 250, 70_000, whole.length / 2, whole.length - 20, whole.length - 1];
    for (const length of cuts) {
      await writeFile(file, whole.subarray(0, Math.floor(length)));
      const code = length < 19 ? "RDEV_BACKUP_KEY" : "RDEV_BACKUP";
      await fails(coded(read()), code);
    }
  });

  it("is refused if a byte was changed", async () => {
    await write();
    const whole = await readFile(file);
    for (const position of [230, 1_000, whole.length / 2, whole.length - 1]) {
      const changed = Buffer.from(whole);
      changed[Math.floor(position)]! ^= 1;
      await writeFile(file, changed);
      await fails(coded(read()), "RDEV_BACKUP");
    }
  });

  it("is refused if a newer version made it: a newer format, or unknown migrations", async () => {
    for (const newer of [{ format: 2, unknown: true }, { migrations: ["001-projects", "999-x"] }]) {
      await write(recipients, header(newer));
      await fails(coded(read()), "RDEV_BACKUP_VERSION");
    }
    await write(recipients, header({ format: "one" }));
    await fails(coded(read()), "RDEV_BACKUP");
  });

  it("is refused if a part is missing, surplus, changed or in the wrong place", async () => {
    await write("unencrypted");
    const entries = await entriesOf(await readFile(file));
    const manifest = entries.at(-1)!;
    const changed = { ...entries[1]!, content: Buffer.from(ROWS.toString().replace("4", "5")) };
    const surplus = { name: "stacks/other.json", content: Buffer.from("{}") };
    for (const [cause, some] of [
      [/part database\/projects\/1.jsonl is missing/, entries.toSpliced(1, 1)],
      [/part settings\S+ is missing/, entries.toSpliced(-2, 1)],
      [/does not name the part stacks\/other.json/, entries.toSpliced(-1, 0, surplus)],
      [/part database\S+ does not have the SHA-256/, entries.with(1, changed)],
      [/ends before manifest.json/, entries.slice(0, -1)],
      [/comes after manifest.json/, [...entries, surplus]],
      [/begins with database/, entries.slice(1)],
      [/it is empty/, []],
      [/manifest.json is malformed/, entries.with(-1, { ...manifest, content: ROWS })],
    ] as const) {
      await writeFile(file, await archiveOf(some));
      const error = await fails(coded(read("unencrypted")), "RDEV_BACKUP");
      assert.match(error.message, cause);
    }
  });

  it("is read unencrypted only if that is said, and encrypted only with a key", async () => {
    await write();
    await fails(coded(read("unencrypted")), "RDEV_BACKUP_KEY");
    await rm(file);
    await write("unencrypted");
    await fails(coded(read()), "RDEV_BACKUP_KEY");
    assert.equal((await read("unencrypted")).read.length, 3);
  });

  it("leaves nothing if it cannot be filled, written or is stopped", async () => {
    const failing = writeArchive(file, { recipients }, async (add) => {
      await add(HEADER, header());
      throw new Error("the database is gone");
    });
    await assert.rejects(failing, /^Error: the database is gone$/);

    const stop = new AbortController();
    const endless = async (add: Add) => {
      for (let n = 0; ; n++) {
        await add(`database/projects/${n}.jsonl`, STATE);
        stop.abort();
      }
    };
    await assert.rejects(
      writeArchive(file, { recipients, signal: stop.signal }, endless),
      /abort/i,
    );
    assert.deepEqual(await readdir(folder), []);

    const nowhere = join(folder, "missing", "one.age");
    const unwritten = writeArchive(nowhere, { recipients }, async () => ({}));
    await fails(coded(unwritten), "RDEV_BACKUP");
    await fails(coded(readArchive(nowhere, [identity])), "RDEV_BACKUP");
  });

  it("passes on what the reader throws", async () => {
    await write();
    const reading = readArchive(file, [identity], async () => {
      throw new Error("the database refuses it");
    });
    await assert.rejects(reading, /^Error: the database refuses it$/);
  });
});

describe("the keys of a backup", () => {
  it("are refused with every mistake, and no secret key is repeated", async () => {
    const identity = await generateIdentity();
    const recipient = await identityToRecipient(identity);
    checkRecipients([recipient]);
    const { message } = thrown("RDEV_BACKUP_KEY", () =>
      checkRecipients([recipient, `${recipient}x`, identity, "ssh-ed25519 AAAA"]),
    );
    assert.match(message, /age1\w+x is not an age recipient.*\n.*number 3 is .*\n.*number 4 is /);
    assert.ok(!message.includes(identity));
    assert.match(thrown("RDEV_BACKUP_KEY", () => checkRecipients([])).message, /no recipient/);
  });

  it("are read from a file of age-keygen", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rdev-backup-keys-"));
    const file = join(folder, "key.txt");
    try {
      const identity = await generateIdentity();
      await writeFile(
        file,
        `# created: 2026-01-01T00:00:00Z\n# public key: age1…\n${identity}\n\n`,
      );
      assert.deepEqual(await readIdentities(file), [identity]);
      await writeFile(file, `${identity}\n${SECRET}\n`);
      const { message } = await fails(coded(readIdentities(file)), "RDEV_BACKUP_KEY", [SECRET]);
      assert.match(message, /line 2 is no/);
      await writeFile(file, "# nothing\n");
      await fails(coded(readIdentities(file)), "RDEV_BACKUP_KEY");
      await fails(coded(readIdentities(join(folder, "missing"))), "RDEV_BACKUP_KEY");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

async function entriesOf(archive: Buffer): Promise<Entry[]> {
  const reader = extract();
  reader.end(gunzipSync(archive));
  const entries: Entry[] = [];
  for await (const entry of reader) {
    entries.push({ name: entry.header.name, content: await buffer(entry) });
  }
  return entries;
}

async function archiveOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, content } of entries) archive.entry({ name }, content);
  archive.finalize();
  return gzipSync(await buffer(archive));
}
