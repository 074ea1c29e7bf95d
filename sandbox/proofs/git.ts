import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, type Sight, type Stage, variable } from "./stage.ts";

/** Clones the repository and looks at the rendered template. */
export async function proveGit(stage: Stage): Promise<Sight> {
  const { slug, organization, tenantId, name } = stage;
  const url = `${variable(stage, "GITEA_URL")}/${organization}/${slug}.git`;
  const folder = await mkdtemp(join(tmpdir(), "rdev-proof-"));
  try {
    await execa("git", ["clone", "--quiet", url, "."], {
      cwd: folder,
      env: {
        GIT_TERMINAL_PROMPT: "0",
        GIT_CONFIG_COUNT: "1",
        GIT_CONFIG_KEY_0: "http.extraHeader",
        GIT_CONFIG_VALUE_0: `Authorization: token ${variable(stage, "GITEA_TOKEN")}`,
      },
    });
    const read = (path: string) => readFile(join(folder, path), "utf8");
    const files = await readdir(folder);
    const [readme, manifest, pipeline] = await Promise.all([
      read("README.md"),
      read("k8s/deployment.yaml"),
      read(".woodpecker.yml"),
    ]);
    expect(readme.startsWith(`# ${name}\n`), "the README has the project's name");
    const label = `citadel.io/environment: "${tenantId}"`;
    expect(manifest.includes(label), "the manifest has the environment's label");
    expect(pipeline.includes(`deployment/${slug}`), "the pipeline deploys the project");
    const { stdout: log } = await execa("git", ["log", "--format=%s"], { cwd: folder });
    expect(log.split("\n").length === 1, "there is one commit");
    return [
      `cloned: ${files.filter((file) => file !== ".git").join(" ")}`,
      `one commit: "${log}"; README.md begins with "# ${name}"`,
      `k8s/deployment.yaml: ${label}`,
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
