import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buffer } from "node:stream/consumers";
import { createReadStream } from "node:fs";
import { execa } from "execa";
import { extract } from "tar-stream";
import { z } from "zod";
import { Blobs } from "../../../sandbox/images/blobs.ts";
import {
  buildDockerfile,
  type DockerfileOptions,
} from "../../../sandbox/images/dockerfile/build.ts";
import type { Image } from "../../../sandbox/images/image.ts";
import { rejected } from "../../support/errors.ts";
import { skeletonImage } from "../../support/skeleton-image.ts";

const PROGRAM = `package main

import "os"

var built string

func main() { os.Stdout.WriteString("it runs: " + built + "\\n") }
`;

const DOCKERFILE = `FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod ./
COPY *.go ./
RUN CGO_ENABLED=0 go build -o /service .

FROM scratch
COPY --from=build /service /service
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/service"]
`;

const configuration = z.object({
  config: z.record(z.string(), z.unknown()),
  rootfs: z.object({ diff_ids: z.array(z.string()) }),
});

describe("the build of a Dockerfile without a container engine", function () {
  this.timeout(180_000);
  let folder: string;
  let context: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-dockerfile-"));
    context = join(folder, "context");
    await write({ "go.mod": "module example\n\ngo 1.22\n", "main.go": PROGRAM });
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(context, path)), { recursive: true });
      await writeFile(join(context, path), content);
    }
  }

  async function build(dockerfile: string, options: Partial<DockerfileOptions> = {}) {
    await write({ Dockerfile: dockerfile });
    const image = await buildDockerfile({ context, folder, blobs: new Blobs(folder), ...options });
    const about = (await image.blobs.read(image.config.digest)).toString();
    return { image, about: configuration.parse(JSON.parse(about)) };
  }

  it("builds the program and packs it with the config", async () => {
    let log = "";
    const { image, about } = await build(DOCKERFILE, { log: (text) => (log += text) });
    assert.deepEqual(about.config, {
      User: "65532:65532",
      ExposedPorts: { "8080/tcp": {} },
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Entrypoint: ["/service"],
    });
    const files = await filesOf(image);
    assert.deepEqual([...files.keys()], ["service"]);
    const program = join(folder, "program");
    await writeFile(program, files.get("service") ?? "", { mode: 0o755 });
    assert.match((await execa(program)).stdout, /^it runs/);
    assert.match(log, /^go build -o \/service \.$/m);
    const left = (await readdir(folder)).filter((name) => name.startsWith("build-"));
    assert.deepEqual(left, [], "the stages' files are removed");
  });

  it("builds the template that projects start from", async () => {
    const image = await skeletonImage(folder, "my-app");
    const { config } = configuration.parse(
      JSON.parse((await image.blobs.read(image.config.digest)).toString()),
    );
    assert.equal(config["User"], "65532:65532");
    assert.deepEqual(config["ExposedPorts"], { "8080/tcp": {} });
    const [entrypoint] = z.array(z.string()).parse(config["Entrypoint"]);
    assert.ok((await filesOf(image)).has(entrypoint?.slice(1) ?? ""));
  });

  it("gives the same digest for the same sources", async () => {
    const first = await build(DOCKERFILE);
    const second = await build(DOCKERFILE);
    assert.equal(first.image.manifest.digest, second.image.manifest.digest);
    await write({ "main.go": PROGRAM.replace("it runs", "it still runs") });
    const third = await build(DOCKERFILE);
    assert.notEqual(third.image.manifest.digest, first.image.manifest.digest);
  });

  it("runs several go commands, with their variables and flags", async () => {
    const { image } = await build(`FROM docker.io/library/golang:1.26@sha256:00 AS one
ENV CGO_ENABLED=0
COPY . /src
WORKDIR /src
# Both must pass.
RUN GOFLAGS=-mod=mod go vet ./... && \\
  # with a comment
  go build -ldflags "-s -w -X 'main.built=a b'" \\
  -o=/out/app .
RUN ["go", "version"]

FROM golang:1.26
COPY --from=one /out/ /else/

FROM gcr.io/distroless/static-debian12:nonroot
LABEL a=1 b="2 3"
ENV MODE fast
WORKDIR /srv
COPY --from=1 --chown=1000 --chmod=0500 /else/app .
COPY ["go.mod", "main.go", "docs/"]
CMD ["-v"]
`);
    const { config } = configuration.parse(
      JSON.parse((await image.blobs.read(image.config.digest)).toString()),
    );
    assert.deepEqual(config, {
      User: "65532",
      Env: ["MODE=fast", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Cmd: ["-v"],
      WorkingDir: "/srv",
      Labels: { a: "1", b: "2 3" },
    });
    const files = await filesOf(image);
    assert.deepEqual(
      [...files.keys()],
      [
        "etc/group",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        "srv/app",
        "srv/docs/go.mod",
        "srv/docs/main.go",
      ],
    );
    assert.match(files.get("etc/passwd")?.toString() ?? "", /^nonroot:x:65532:/m);
    const program = join(folder, "program");
    await writeFile(program, files.get("srv/app") ?? "", { mode: 0o755 });
    assert.equal((await execa(program)).stdout, "it runs: a b");
  });

  it("copies folders and patterns, without what .dockerignore excludes", async () => {
    await write({
      ".dockerignore": "# no manifests\nk8s\n**/*.md\n!README.md\n",
      "k8s/app.yaml": "",
      "README.md": "",
      "docs/a.md": "",
      "web/index.html": "",
      "web/k8s/kept.html": "",
    });
    const { image } = await build(`FROM scratch
COPY . /all/
COPY web /web
COPY w?b/*.html /flat/
COPY go.mod /renamed
`);
    assert.deepEqual(
      [...(await filesOf(image)).keys()],
      [
        "all/.dockerignore",
        "all/Dockerfile",
        "all/README.md",
        "all/go.mod",
        "all/main.go",
        "all/web/index.html",
        "all/web/k8s/kept.html",
        "flat/index.html",
        "renamed",
        "web/index.html",
        "web/k8s/kept.html",
      ],
    );
  });

  it("keeps this machine's files and this process's secrets out of the build", async () => {
    await symlink("/etc/hostname", join(context, "link"));
    await rejected(
      build("FROM scratch\nCOPY link /name\n"),
      /^Dockerfile, line 2: COPY: link is a symbolic link; copy the file that it names\.$/,
    );
    await rejected(build("FROM scratch\nCOPY . /\n"), /link is a symbolic link/);
    await rejected(
      build("FROM scratch\nCOPY ../secret /\n"),
      /line 2: COPY: \.\.\/secret is outside/,
    );
    await rm(join(context, "link"));
    await write({
      "main_test.go": `package main

import (
	"os"
	"testing"
)

func TestEnvironment(t *testing.T) {
	for _, each := range os.Environ() {
		t.Log(each)
	}
	t.Fail()
}
`,
    });
    process.env.RDEV_TEST_SECRET = "do not tell";
    try {
      const error = await rejected(
        build("FROM golang\nCOPY . .\nRUN A=1 go test ./...\nFROM scratch\n"),
        /^Dockerfile, line 3: go test \.\/\.\.\. ended with code 1:\n[^]*A=1\n/,
      );
      assert.ok(!error.message.includes("do not tell"));
    } finally {
      delete process.env.RDEV_TEST_SECRET;
    }
  });

  it("shows the compiler's errors with the line of the instruction", async () => {
    await write({ "main.go": "package main\n\nfunc main() { undefined() }\n" });
    await rejected(
      build(DOCKERFILE),
      /^Dockerfile, line 5: go build -o \/service \. ended with code 1:\n[^]*main\.go:3:15: undefined/,
    );
  });

  it("can be stopped", async () => {
    const stop = new AbortController();
    await rejected(
      build(DOCKERFILE, { signal: stop.signal, log: () => stop.abort() }),
      /^Dockerfile, line 5: go build -o \/service \. could not be run, or was stopped\.$/,
    );
  });

  it("refuses what it cannot build, and names every line with the way out", async () => {
    const error = await rejected(
      build(`ARG VERSION=1
FROM --platform=linux/amd64 golang:1.26 AS build
RUN apt-get update
RUN go build -o /a . | tee log
RUN go build -ldflags "-X main.v=$VERSION"
RUN go build \`pwd\`
RUN --mount=type=cache,target=/root/.cache go build
COPY $FILES ./
COPY go.mod
ADD https://example.com/x /x
FROM node:24
FROM scratch
RUN echo
COPY --from=other /a /a
COPY --from=build --chown=app /a /a
COPY --chmod=u+x go.mod /
ENTRYPOINT /a
USER a b
HEALTHCHECK CMD true
EXPOSE
FROM scratch
`),
      /^The sandbox cannot build this Dockerfile\. .*WOODPECKER_URL/,
    );
    assert.deepEqual(error.message.split("\n").slice(1), [
      "  - line 1: ARG: is before the first FROM; write the value where it is used",
      "  - line 2: FROM: the flag --platform is not supported; leave it out",
      '  - line 3: RUN: "apt-get" is not `go`; only go commands joined by && can run',
      "  - line 4: RUN: | needs a shell; only go commands joined by && can run",
      "  - line 5: RUN: $VERSION needs a shell; only go commands joined by && can run",
      "  - line 6: RUN: `pwd` needs a shell; only go commands joined by && can run",
      "  - line 7: RUN: the flag --mount is not supported; leave it out",
      "  - line 8: COPY: variables are not supported; write the value",
      "  - line 9: COPY: needs a source and a target",
      "  - line 10: ADD: is not supported in a golang stage; leave it out",
      "  - line 11: FROM: the image node:24 is not available; use golang, and at the end scratch or gcr.io/distroless/static",
      "  - line 13: RUN: a stage FROM scratch has no shell; move it to a golang stage",
      "  - line 14: COPY: --from=other is not a golang stage above this line; copy from one of those",
      "  - line 15: COPY: --chown=app is not a user id and a group id; write them as numbers: 65532:65532",
      "  - line 16: COPY: --chmod=u+x is not an octal mode; write one, such as 0755",
      '  - line 17: ENTRYPOINT: the image has no shell; write a JSON list, such as ["/service", "serve"]',
      "  - line 18: USER: names more than one user",
      "  - line 19: HEALTHCHECK: is not supported in the last stage; leave it out",
      "  - line 20: EXPOSE: has no arguments",
      "  - line 21: FROM: follows a stage FROM scratch, which must be the last",
    ]);
  });

  it("refuses a Dockerfile without an end, a missing one, and missing files", async () => {
    await rejected(
      build("FROM golang AS build\n"),
      /\n {2}- the last stage must be FROM scratch or FROM gcr\.io\/distroless\/static$/,
    );
    await rejected(build(""), /\n {2}- the last stage must be FROM scratch/);
    await rejected(
      build("FROM scratch\n", { dockerfile: "docker/Dockerfile" }),
      /^There is no docker\/Dockerfile in the build context\.$/,
    );
    await rejected(
      build("FROM scratch\nCOPY *.py /\n"),
      /^Dockerfile, line 2: COPY: there is no file \*\.py\.$/,
    );
    await rejected(build("FROM scratch\nUSER no/user\n"), /\n {2}- user: is not a user/);
  });
});

/** The contents of the files in all layers of an image, sorted by path. */
async function filesOf({ blobs, layers }: Image): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const { digest } of layers) {
    for await (const entry of createReadStream(blobs.file(digest)).pipe(extract())) {
      const content = await buffer(entry);
      if (entry.header.type === "file") files.set(entry.header.name, content);
    }
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}
