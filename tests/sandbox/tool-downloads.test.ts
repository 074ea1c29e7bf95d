import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import {
  FAMILIES,
  INGRESS_FAMILIES,
  NODE_FAMILIES,
  type ToolFamily,
} from "../../sandbox/tool-families.ts";
import { downloadable, downloadTools } from "../../sandbox/tool-downloads.ts";
import { buildTools, plannedFamily } from "../../sandbox/tools.ts";

const ARCH = process.arch === "arm64" ? "arm64" : "amd64";
const HELLO: ToolFamily = {
  name: "hello",
  programs: { hello: "example.test/hello" },
  release: ({ sites, version }) => {
    const url = `${sites.gitea}/${version}/hello`;
    return [{ url, checksum: `${url}.sha256`, contains: "hello" }];
  },
};
const PROGRAM = "#!/bin/sh\necho official\n";

describe("downloads of tools", () => {
  let folder: string;
  let server: Server;
  let origin: string;
  let files: Map<string, string | Buffer>;
  let answer: RequestListener | undefined;
  let reports: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-downloads-"));
    files = new Map();
    answer = undefined;
    reports = [];
    server = createServer((request, response) => {
      if (answer) return answer(request, response);
      const file = files.get(request.url ?? "");
      response.statusCode = file === undefined ? 404 : 200;
      response.end(request.method === "HEAD" ? undefined : file);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await mkdir(join(folder, "tools/hello"), { recursive: true });
    await writeFile(
      join(folder, "tools/hello/go.mod"),
      "module tools/hello\n\ngo 1.21\n\nrequire example.test/hello v1.2.3\n",
    );
    await writeFile(join(folder, "tools/hello/go.sum"), "");
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  });

  const options = () => ({
    cache: join(folder, "cache"),
    tools: join(folder, "tools"),
    report: (part: string, line: string) => reports.push(`${part}: ${line}`),
    sites: { kubernetes: origin, gitea: origin, github: origin, githubApi: origin },
    probeMs: 500,
    stallMs: 500,
  });
  const serve = (content: string | Buffer, checksum = digest(content)) => {
    files.set("/v1.2.3/hello", content);
    files.set("/v1.2.3/hello.sha256", `${checksum}  hello\n`);
  };
  /** Downloads, and then builds with a compiler that writes a program with the output `built`. */
  const outputOf = async (family: ToolFamily): Promise<string> => {
    await downloadTools([family], options());
    const { tool } = await buildTools(
      { tool: family },
      {
        ...options(),
        spawn: (_command, args, spawnOptions) => {
          const target = args[args.indexOf("-o") + 1] ?? "";
          const script = `printf '#!/bin/sh\\necho built\\n' > '${target}' && chmod +x '${target}'`;
          return spawn("sh", ["-c", script], spawnOptions);
        },
      },
    );
    return run(tool.program("hello"));
  };
  const refused = async (why: RegExp) => {
    assert.equal(await outputOf(HELLO), "built");
    const line = reports.find((report) => /building instead of downloading/.test(report));
    assert.match(line ?? reports.join("\n"), why);
    const left = await readdir(join(folder, "cache/tools"));
    assert.ok(!left.some((name) => name.endsWith(".draft")));
  };

  it("puts a program with the published checksum into the cache, once", async () => {
    serve(PROGRAM);
    assert.deepEqual(await downloadable([HELLO], options()), [HELLO]);
    assert.equal(await outputOf(HELLO), "official");
    assert.match(
      reports.join("\n"),
      new RegExp(`^hello: downloading v1\\.2\\.3 from ${origin}\nhello: downloaded in \\d+ s$`),
    );
    server.close();
    assert.deepEqual(await downloadable([HELLO], options()), []);
    assert.equal(reports.length, 2, "the site is not asked again");
  });

  it("refuses a program with another checksum, so that it is built", async () => {
    serve(PROGRAM, digest("something else"));
    await refused(/SHA-256 is [0-9a-f]{64}, but .*hello\.sha256 says/);
  });

  it("refuses a file of which only a half is there", async () => {
    serve(PROGRAM.slice(0, PROGRAM.length / 2), digest(PROGRAM));
    await refused(/SHA-256/);
  });

  it("refuses a file whose connection ends halfway", async () => {
    serve(PROGRAM);
    answer = (request, response) => {
      const file = files.get(request.url ?? "") ?? "";
      if (request.url?.endsWith(".sha256")) return response.end(file);
      response.setHeader("content-length", file.length);
      response.write(file.slice(0, file.length / 2), () => response.destroy());
    };
    await refused(/v1\.2\.3\/hello: terminated/);
  });

  it("gives up a server that hangs in the middle of a file", async () => {
    serve(PROGRAM);
    answer = (request, response) => {
      const file = files.get(request.url ?? "") ?? "";
      if (request.url?.endsWith(".sha256")) return response.end(file);
      response.setHeader("content-length", file.length);
      response.write(file.slice(0, file.length / 2));
    };
    await refused(/Body Timeout/);
  });

  it("does not wait for a site that never answers", async () => {
    answer = () => undefined;
    assert.deepEqual(await downloadable([HELLO], options()), []);
    assert.deepEqual(reports, [`downloads: ${origin} cannot be reached: building instead`]);
  });

  it("decides at once to build everything without a network", async () => {
    // A port of this machine that nobody listens on.
    server.close();
    const families = Object.values({ ...FAMILIES, ...NODE_FAMILIES, ...INGRESS_FAMILIES });
    assert.deepEqual(await downloadable(families, { ...options(), tools: TOOLS }), []);
    assert.deepEqual(reports, [`downloads: ${origin} cannot be reached: building instead`]);
  });

  it("refuses the page of a portal that answers everything", async () => {
    answer = (_request, response) => response.end("<html>Please log in</html>");
    assert.deepEqual(await downloadable([HELLO], options()), [HELLO]);
    await refused(/hello\.sha256 has no SHA-256 for it/);
  });

  it("refuses a version that is not published", async () => {
    await refused(/hello\.sha256 answered with 404/);
  });

  it("refuses an archive without the program", async () => {
    const archive = await tarGz({ "other/hello": PROGRAM });
    serve(archive);
    const { release } = HELLO;
    const archived: ToolFamily = {
      ...HELLO,
      release: (pinned) =>
        (release?.(pinned) ?? []).map((file) => ({ ...file, contains: { hello: "bin/hello" } })),
    };
    assert.equal(await outputOf(archived), "built");
    assert.match(reports.join("\n"), /it contains no bin\/hello/);
  });

  it("never downloads the programs that are special to rdev-infra", async () => {
    assert.deepEqual(await downloadable([NODE_FAMILIES.pods], { ...options(), tools: TOOLS }), []);
    assert.deepEqual(reports, []);
  });

  const published = { ...FAMILIES, ...NODE_FAMILIES, ...INGRESS_FAMILIES };
  for (const [name, family] of Object.entries(published)) {
    if (name === "pods") continue;
    it(`finds ${name} where its project publishes it`, async () => {
      const { version } = (await plannedFamily(family)).built;
      for (const [path, content] of await filesOfRelease(name, version)) files.set(path, content);
      const pinned = { ...options(), tools: TOOLS };
      assert.deepEqual(await downloadable([family], pinned), [family]);
      await downloadTools([family], pinned);
      const { built, isBuilt } = await plannedFamily(family, pinned);
      assert.ok(isBuilt, reports.join("\n"));
      for (const program of Object.keys(family.programs)) {
        assert.equal(await run(built.program(program)), `official ${program}`);
      }
    });
  }
});

const TOOLS = join(import.meta.dirname, "../../tools");

async function run(program: string): Promise<string> {
  return (await promisify(execFile)(program)).stdout.trim();
}

function digest(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

async function tarGz(members: Readonly<Record<string, string>>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(members)) archive.entry({ name }, content);
  archive.finalize();
  return buffer(archive.pipe(createGzip()));
}

function official(program: string): string {
  return `#!/bin/sh\necho official ${program}\n`;
}

/** What a project's download site serves for a version, by path. */
async function filesOfRelease(
  name: string,
  version: string,
): Promise<readonly (readonly [path: string, content: string | Buffer])[]> {
  const number = version.slice(1);
  const kubernetes = (...programs: readonly string[]) =>
    programs.flatMap((program) => {
      const path = `/${version}/bin/linux/${ARCH}/${program}`;
      const content = official(program);
      // Without a name and without a line feed.
      return [[path, content] as const, [`${path}.sha256`, digest(content)] as const];
    });
  const github = async (
    repository: string,
    asset: string,
    members: readonly string[],
    sums: (digest: string) => readonly [asset: string, content: string],
  ) => {
    const base = `/${repository}/releases/download/${version}`;
    const archive = await tarGz(
      Object.fromEntries(members.map((path) => [path, official(path.split("/").at(-1) ?? "")])),
    );
    const [sumsAsset, content] = sums(digest(archive));
    return [[`${base}/${asset}`, archive] as const, [`${base}/${sumsAsset}`, content] as const];
  };
  switch (name) {
    case "kubernetes":
      return kubernetes("kube-apiserver", "kube-controller-manager", "kube-scheduler");
    case "kubectl":
      return kubernetes("kubectl");
    case "kubelet":
      return kubernetes("kubelet", "kube-proxy");
    case "gitea": {
      const file = `gitea-${number}-linux-${ARCH}`;
      const content = official("gitea");
      return [
        [`/gitea/${number}/${file}`, content],
        [`/gitea/${number}/${file}.sha256`, `${digest(content)}  ${file}\n`],
      ];
    }
    case "kwok": {
      const asset = `kwok-linux-${ARCH}`;
      const content = official("kwok");
      const assets = [
        { name: "kwok-darwin-amd64", digest: `sha256:${digest("darwin")}` },
        { name: asset, digest: `sha256:${digest(content)}` },
      ];
      return [
        [`/kubernetes-sigs/kwok/releases/download/${version}/${asset}`, content],
        [
          `/repos/kubernetes-sigs/kwok/releases/tags/${version}`,
          JSON.stringify({ tag_name: version, assets }),
        ],
      ];
    }
    case "etcd": {
      const folder = `etcd-${version}-linux-${ARCH}`;
      const members = ["README.md", "etcdctl", "etcd"].map((file) => `${folder}/${file}`);
      return github("etcd-io/etcd", `${folder}.tar.gz`, members, (sum) => [
        "SHA256SUMS",
        `${digest("darwin")}  etcd-${version}-darwin-amd64.zip\n${sum}  ${folder}.tar.gz\n`,
      ]);
    }
    case "registry": {
      const asset = `registry_${number}_linux_${ARCH}.tar.gz`;
      const members = ["LICENSE", "README.md", "registry"];
      return github("distribution/distribution", asset, members, (sum) => [
        `${asset}.sha256`,
        `${sum}\n`,
      ]);
    }
    case "pulumi": {
      const asset = `pulumi-${version}-linux-${ARCH === "amd64" ? "x64" : ARCH}.tar.gz`;
      const names = ["pulumi-language-go", "pulumi-language-nodejs", "pulumi"];
      const members = [...names, "pulumi-resource-pulumi-nodejs"].map((file) => `pulumi/${file}`);
      return github("pulumi/pulumi", asset, members, (sum) => [
        `pulumi-${number}-checksums.txt`,
        `${digest("darwin")}  pulumi-${version}-darwin-arm64.tar.gz\n${sum}  ${asset}\n`,
      ]);
    }
    case "containerd": {
      const asset = `containerd-static-${number}-linux-${ARCH}.tar.gz`;
      const names = ["containerd", "containerd-shim-runc-v2", "containerd-stress", "ctr"];
      const members = names.map((file) => `bin/${file}`);
      return github("containerd/containerd", asset, members, (sum) => [
        `${asset}.sha256sum`,
        `${sum}  ${asset}\n`,
      ]);
    }
    case "cni": {
      const asset = `cni-plugins-linux-${ARCH}-${version}.tgz`;
      const members = ["./LICENSE", "./bridge", "./host-local", "./loopback", "./ptp"];
      return github("containernetworking/plugins", asset, members, (sum) => [
        `${asset}.sha256`,
        `${sum}  ${asset}\n`,
      ]);
    }
    case "kubeRouter": {
      const asset = `kube-router_${number}_linux_${ARCH}.tar.gz`;
      const members = ["LICENSE", "README.md", "kube-router"];
      return github("cloudnativelabs/kube-router", asset, members, (sum) => [
        `kube-router_${number}_checksums.txt`,
        `${digest("arm")}  kube-router_${number}_linux_armv6.tar.gz\n${sum}  ${asset}\n`,
      ]);
    }
    case "traefik": {
      const asset = `traefik_${version}_linux_${ARCH}.tar.gz`;
      const members = ["CHANGELOG.md", "LICENSE.md", "traefik"];
      return github("traefik/traefik", asset, members, (sum) => [
        `traefik_${version}_checksums.txt`,
        `${digest("arm")}  traefik_${version}_linux_arm64.tar.gz\n${sum}  ${asset}\n`,
      ]);
    }
    default:
      throw new Error(`no layout for ${name}`);
  }
}
