import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { Readable } from "node:stream";
import { extract, type Header } from "tar-stream";
import { z } from "zod";
import { writeArchive } from "../../../sandbox/images/archive.ts";
import { Blobs } from "../../../sandbox/images/blobs.ts";
import { type ImageConfig, packImage } from "../../../sandbox/images/image.ts";
import { entriesOf, type Entry } from "../../../sandbox/images/layer.ts";
import { rejected } from "../../support/errors.ts";

const descriptor = z.strictObject({
  mediaType: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.int().positive(),
});
const index = z.strictObject({
  schemaVersion: z.literal(2),
  mediaType: z.literal("application/vnd.oci.image.index.v1+json"),
  manifests: z.array(
    descriptor.extend({
      mediaType: z.literal("application/vnd.oci.image.manifest.v1+json"),
      platform: z.object({ os: z.literal("linux"), architecture: z.string() }),
      annotations: z.record(z.string(), z.string()),
    }),
  ),
});
const manifest = z.strictObject({
  schemaVersion: z.literal(2),
  mediaType: z.literal("application/vnd.oci.image.manifest.v1+json"),
  config: descriptor.extend({ mediaType: z.literal("application/vnd.oci.image.config.v1+json") }),
  layers: z.array(
    descriptor.extend({ mediaType: z.literal("application/vnd.oci.image.layer.v1.tar") }),
  ),
});
const config = z.strictObject({
  created: z.iso.datetime(),
  os: z.literal("linux"),
  architecture: z.enum(["amd64", "arm64"]),
  config: z.record(z.string(), z.unknown()),
  rootfs: z.strictObject({ type: z.literal("layers"), diff_ids: z.array(z.string()) }),
  history: z.array(z.object({ created: z.iso.datetime(), created_by: z.string() })),
});

const NAME = "rdev.local/app:1";

describe("an image packed from local parts", () => {
  let folder: string;
  let count = 0;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-images-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const pack = (layers: Entry[][], options?: ImageConfig) =>
    packImage(new Blobs(join(folder, `blobs-${++count}`)), layers, options);

  /** Packs an image into an archive and reads that as the OCI image layout specification says. */
  async function packed(layers: Entry[][], options?: ImageConfig) {
    const file = join(folder, "image.tar");
    await writeArchive(file, { [NAME]: await pack(layers, options) });
    const members = await membersOf(await readFile(file));
    const read = (name: string) => members.get(name)?.content ?? assert.fail(`no ${name}`);
    const blob = ({ digest, size }: z.output<typeof descriptor>) => {
      const content = read(`blobs/sha256/${digest.slice("sha256:".length)}`);
      assert.equal(content.length, size);
      assert.equal(sha256(content), digest);
      return content;
    };
    assert.deepEqual(JSON.parse(read("oci-layout").toString()), { imageLayoutVersion: "1.0.0" });
    const parsedIndex = index.parse(JSON.parse(read("index.json").toString()));
    const [first, ...others] = parsedIndex.manifests;
    assert.ok(first && others.length === 0);
    const { layers: found, config: about } = manifest.parse(JSON.parse(blob(first).toString()));
    const image = config.parse(JSON.parse(blob(about).toString()));
    const tars = found.map(blob);
    assert.deepEqual(image.rootfs.diff_ids, tars.map(sha256));
    assert.equal(image.history.length, tars.length);
    // Nothing but the layout, its index and the blobs that the manifest names.
    const blobs = new Set([first, about, ...found].map(({ digest }) => digest));
    assert.equal(members.size, blobs.size + 2);
    return { first, image, files: await Promise.all(tars.map(membersOf)) };
  }

  it("is an OCI image layout whose digests, sizes, types and diff ids are right", async () => {
    const { first, image } = await packed(
      [
        [{ path: "/app", content: "a program", mode: 0o755 }],
        [{ path: "/etc/app.conf", content: "" }],
      ],
      {
        entrypoint: ["/app", "serve"],
        command: ["--quiet"],
        env: { LANG: "C.UTF-8", A: "b=c" },
        user: "65532:65532",
        ports: ["8080", "53/udp"],
        labels: { "org.example": "yes" },
        folder: "/srv",
      },
    );
    assert.deepEqual(first.annotations, {
      "io.containerd.image.name": NAME,
      "org.opencontainers.image.ref.name": "1",
    });
    assert.deepEqual(image.config, {
      User: "65532:65532",
      ExposedPorts: { "8080/tcp": {}, "53/udp": {} },
      Env: [
        "A=b=c",
        "LANG=C.UTF-8",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      ],
      Entrypoint: ["/app", "serve"],
      Cmd: ["--quiet"],
      WorkingDir: "/srv",
      Labels: { "org.example": "yes" },
    });
  });

  it("has files, folders and links with modes and owners, parents first", async () => {
    const source = join(folder, "big");
    await writeFile(source, Buffer.alloc(300_000, "x"));
    const owner = { uid: 65532, gid: 65534 };
    const long = `/usr/share/${"long/".repeat(40)}name`;
    const { files } = await packed([
      [
        { path: "/usr/bin/app", source, mode: 0o4755, owner },
        { path: "/data", folder: true, mode: 0o1777, owner },
        { path: "/bin", link: "usr/bin" },
        { path: long, content: "deep" },
      ],
    ]);
    const members = files[0] ?? assert.fail();
    const of = (name: string) => {
      const { type, mode, uid, gid, linkname, size, mtime } = (members.get(name) ?? assert.fail())
        .header;
      return [type, mode.toString(8), uid, gid, linkname, size, mtime.getTime()];
    };
    assert.deepEqual(of("usr/bin/app"), ["file", "4755", 65532, 65534, null, 300_000, 0]);
    assert.deepEqual(of("data"), ["directory", "1777", 65532, 65534, null, 0, 0]);
    assert.deepEqual(of("usr"), ["directory", "755", 0, 0, null, 0, 0]);
    assert.deepEqual(of("bin"), ["symlink", "777", 0, 0, "usr/bin", 0, 0]);
    assert.equal(members.get(long.slice(1))?.content.toString(), "deep");
    const names = [...members.keys()];
    assert.ok(names.indexOf("usr") < names.indexOf("usr/bin"));
    assert.ok(names.indexOf("usr/bin") < names.indexOf("usr/bin/app"));
  });

  it("takes a folder with its links, whatever the umask was", async () => {
    const make = async (name: string, [file, program, sub]: readonly number[]) => {
      const path = join(folder, name);
      await mkdir(join(path, "sub"), { recursive: true });
      await writeFile(join(path, "sub", "text"), "text");
      await writeFile(join(path, "run"), "run");
      await symlink("sub/text", join(path, "link"));
      await chmod(join(path, "sub", "text"), file ?? 0);
      await chmod(join(path, "run"), program ?? 0);
      await chmod(join(path, "sub"), sub ?? 0);
      return entriesOf(path, "/srv", { owner: { uid: 7, gid: 8 } });
    };
    const open = await packed([await make("open", [0o664, 0o775, 0o775])]);
    const closed = await packed([await make("closed", [0o600, 0o700, 0o700])]);
    assert.equal(open.first.digest, closed.first.digest);
    const modes = [...(open.files[0] ?? [])].map(([name, { header }]) => [
      name,
      header.mode.toString(8),
      header.uid,
    ]);
    assert.deepEqual(modes, [
      ["srv", "755", 0],
      ["srv/link", "777", 7],
      ["srv/run", "755", 7],
      ["srv/sub", "755", 7],
      ["srv/sub/text", "644", 7],
    ]);
  });

  it("has the same digest for the same input, in any order and at any time", async () => {
    const entries: Entry[] = [
      { path: "/b", content: "1" },
      { path: "/a/c", content: "2" },
    ];
    const one = await pack([entries], { env: { B: "1", A: "2" }, labels: { y: "1", x: "2" } });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const two = await pack([entries.toReversed()], {
      labels: { x: "2", y: "1" },
      env: { A: "2", B: "1" },
    });
    assert.equal(one.manifest.digest, two.manifest.digest);
    const archives: Buffer[] = [];
    for (const image of [one, two]) {
      const file = join(folder, "one.tar");
      await writeArchive(file, { [NAME]: image, "rdev.local/other:2": one });
      archives.push(await readFile(file));
    }
    assert.ok(archives[0]?.equals(archives[1] ?? Buffer.of()));
    for (const changed of [
      await pack([[{ path: "/b", content: "1" }]]),
      await pack([entries], { env: { B: "1", A: "3" } }),
    ]) {
      assert.notEqual(changed.manifest.digest, one.manifest.digest);
    }
  });

  it("refuses bad entries, and names every one of them", async () => {
    await rejected(
      pack([
        [
          { path: "etc/hosts", content: "" },
          { path: "/a/../b", content: "" },
          { path: "/twice", content: "" },
          { path: "/twice", folder: true },
          { path: "/link", link: "/tmp" },
          { path: "/link/below", content: "" },
          { path: "/mode", content: "", mode: 0o17777 },
          { path: "/owner", content: "", owner: { uid: -1, gid: 0 } },
          { path: "/gone", source: join(folder, "gone") },
          { path: "/folder", source: folder },
        ],
      ]),
      new RegExp(
        [
          "^The image cannot be packed:",
          '  - "etc/hosts" is not an absolute path of an image, such as /etc/hosts',
          '  - "/a/../b" is not an absolute path of an image, such as /etc/hosts',
          "  - /twice is there twice",
          "  - /mode has the mode 0o17777, which is not from 1 to 0o7777",
          "  - /owner has the owner -1:0, which is not two ids",
          `  - ${folder}/gone, the source of /gone, does not exist`,
          `  - ${folder}, the source of /folder, is not a file`,
          "  - /link has entries below it, so it must be a folder$",
        ].join("\n"),
      ),
    );
  });

  it("refuses a bad config and an incomplete name", async () => {
    await rejected(
      pack([], { user: "no user", ports: ["http", "70000"], folder: "srv", entrypoint: [] }),
      /^The image's config is wrong:(\n {2}- (entrypoint|user|ports\.0|ports\.1|folder): .*){5}$/,
    );
    const image = await pack([]);
    for (const name of ["app", "app:1", "library/app:1", "rdev.local/app", "rdev.local/App:1"]) {
      await rejected(
        writeArchive(join(folder, "x.tar"), { [name]: image }),
        new RegExp(`^.*\n {2}- "${name}"$`),
      );
    }
  });
});

const sha256 = (content: Buffer) => `sha256:${createHash("sha256").update(content).digest("hex")}`;

async function membersOf(archive: Buffer) {
  const members = new Map<string, { header: Header; content: Buffer }>();
  for await (const entry of Readable.from([archive]).pipe(extract())) {
    assert.ok(!members.has(entry.header.name), entry.header.name);
    members.set(entry.header.name, { header: entry.header, content: await buffer(entry) });
  }
  return members;
}
