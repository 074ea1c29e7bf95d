import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Blobs } from "../../../sandbox/images/blobs.ts";
import { packImage } from "../../../sandbox/images/image.ts";
import { locate, provideImages } from "../../../sandbox/images/provide.ts";

describe("the images that pods name", () => {
  let folder: string;
  let blobs: Blobs;
  let reports: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-provide-"));
    blobs = new Blobs(folder);
    reports = [];
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const report = (_part: string, text: string) => void reports.push(text);
  const pack = (store: Blobs) => packImage(store, [[{ path: "/app", content: "" }]]);

  it("are packed where no registry can be reached, with one probe for each registry", async () => {
    const probed: string[] = [];
    const { images, missing } = await provideImages(
      blobs,
      [
        { name: "fluent/fluent-bit:5.1.1", pack: async () => undefined },
        { name: "team/app:1", pack },
        { name: "registry.example.com/app:1@sha256:00", pack },
      ],
      {
        report,
        isReachable: async (url) => {
          probed.push(url);
          return false;
        },
      },
    );
    assert.deepEqual(Object.keys(images), ["docker.io/team/app:1"]);
    assert.deepEqual(missing, ["fluent/fluent-bit:5.1.1", "registry.example.com/app:1@sha256:00"]);
    assert.deepEqual(probed, ["https://registry-1.docker.io", "https://registry.example.com"]);
    assert.deepEqual(reports, [
      "fluent/fluent-bit:5.1.1: neither pulled nor packed",
      "team/app:1: packed from local parts",
      "registry.example.com/app:1@sha256:00: neither pulled nor packed",
    ]);
  });

  it("are packed if their registry answers but does not give them", async () => {
    const { images } = await provideImages(blobs, [{ name: "127.0.0.1:1/app:1", pack }], {
      report,
      isReachable: async () => true,
    });
    assert.deepEqual(Object.keys(images), ["127.0.0.1:1/app:1"]);
    assert.deepEqual(reports, [
      "127.0.0.1:1/app:1 could not be pulled " +
        "(RDEV_UNREACHABLE: https://127.0.0.1:1 cannot be reached.)",
      "127.0.0.1:1/app:1: packed from local parts",
    ]);
  });

  it("are looked for quickly and quietly in a registry that is down", async () => {
    const started = Date.now();
    await provideImages(blobs, [{ name: "127.0.0.1:1/app:1", pack }], { report });
    assert.deepEqual(reports, ["127.0.0.1:1/app:1: packed from local parts"]);
    assert.ok(Date.now() - started < 2_500);
  });

  it("have complete names by Docker's rules", () => {
    for (const [name, url, repository, reference, complete] of [
      [
        "traefik",
        "registry-1.docker.io",
        "library/traefik",
        "latest",
        "docker.io/library/traefik:latest",
      ],
      ["a/b:1", "registry-1.docker.io", "a/b", "1", "docker.io/a/b:1"],
      ["docker.io/a/b:1", "registry-1.docker.io", "a/b", "1", "docker.io/a/b:1"],
      ["gcr.io/a:1@sha256:00", "gcr.io", "a", "sha256:00", "gcr.io/a:1"],
      ["localhost:5000/a/b/c:1", "localhost:5000", "a/b/c", "1", "localhost:5000/a/b/c:1"],
    ] as const) {
      assert.deepEqual(locate(name), { url: `https://${url}`, repository, reference, complete });
    }
  });
});
