import assert from "node:assert/strict";
import { counterpartOf, type Programs } from "../../../sandbox/pipelines/counterparts.ts";

const programs: Programs = {
  go: {
    version: "go1.26.8",
    root: "/opt/go",
    cache: "/var/cache/go",
    environment: { GOPROXY: "https://proxy.example.com" },
  },
  kubectl: { path: "/opt/bin/kubectl", version: "v1.37.2" },
  executor: { path: "/opt/executor", mounts: [{ from: "/opt/node", to: "/opt/node" }] },
};

describe("what stands in for an image", () => {
  it("is found by the image's name, with any host of Docker Hub, tag and digest", () => {
    const digest = `sha256:${"0".repeat(64)}`;
    for (const image of [
      "golang",
      `golang:1.26.8@${digest}`,
      "library/golang:1",
      "docker.io/library/golang:1",
    ]) {
      assert.equal(counterpartOf(image, programs)?.description, "go1.26.8", image);
    }
    for (const image of [
      "registry.example.com/golang:1",
      "golang2",
      "other/golang",
      "postgres:18",
    ]) {
      assert.equal(counterpartOf(image, programs), undefined, image);
    }
  });

  it("gives Go's image the toolchain first in PATH, its caches and the module proxy", () => {
    const { mounts, environment } = counterpartOf("golang", programs) ?? {};
    assert.deepEqual(mounts, [
      { from: "/opt/go", to: "/opt/go" },
      { from: "/var/cache/go", to: "/go", writable: true },
    ]);
    assert.ok(environment?.["PATH"]?.startsWith("/opt/go/bin:"));
    assert.equal(environment?.["GOPROXY"], "https://proxy.example.com");
  });

  it("puts the builder where kaniko's image has it", () => {
    const { mounts = [], folders } = counterpartOf("woodpeckerci/plugin-kaniko:2", programs) ?? {};
    const paths = mounts.map(({ to }) => to);
    for (const path of ["/kaniko/executor", "/busybox/sh", "/opt/node"]) {
      assert.ok(paths.includes(path), path);
    }
    assert.deepEqual(folders, ["/kaniko/.docker"]);
  });
});
