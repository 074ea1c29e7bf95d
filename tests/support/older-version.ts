import { CoreV1Api, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { Redis } from "ioredis";
import pg from "pg";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runPulumi } from "../../automation/engine/command.ts";
import { databaseName } from "../../core/slug.ts";
import { Registry } from "../../providers/registry/client.ts";
import { MARK, markPath } from "../../providers/registry/mark.ts";
import { json, kubeConfig } from "../../sandbox/proofs/project.ts";
import type { Project } from "./stage.ts";
import { variable } from "./variables.ts";

interface Resource {
  readonly urn: string;
  readonly type: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  dependencies?: string[];
  propertyDependencies?: Record<string, string[]>;
}

/** Turns a project into one of the version before owner marks: its state and its marks. */
export async function asOlderVersion(one: Project): Promise<void> {
  await rewriteState(one);
  await rewriteMarks(one);
}

/** Removes the stack's id from the state, so each resource names only its project. */
async function rewriteState({ stack, slug, workDir }: Project): Promise<void> {
  const text = await runPulumi(["stack", "export", "--stack", stack], { workDir });
  const exported = JSON.parse(text) as { deployment: { resources: Resource[] } };
  const isId = (urn: string) => urn.endsWith("::stack-id");
  for (const resource of exported.deployment.resources) {
    for (const properties of [resource.inputs, resource.outputs]) {
      if (properties?.["owner"] === undefined) continue;
      delete properties["owner"];
      properties["project"] = slug;
      // All pipelines shared one account of the registry.
      delete properties["accountVersion"];
      delete properties["account"];
    }
    resource.dependencies &&= resource.dependencies.filter((urn) => !isId(urn));
    for (const [key, urns] of Object.entries(resource.propertyDependencies ?? {})) {
      resource.propertyDependencies![key] = urns.filter((urn) => !isId(urn));
    }
  }
  exported.deployment.resources = exported.deployment.resources.filter(({ urn }) => !isId(urn));
  const file = join(workDir, `${stack}.before.json`);
  await writeFile(file, JSON.stringify(exported), { mode: 0o600 });
  await runPulumi(["stack", "import", "--stack", stack, "--file", file], { workDir });
}

/** Writes marks that name only the project, on each server. */
async function rewriteMarks({ slug, place }: Project): Promise<void> {
  const { domain, organization } = place;
  const mark = `managed-by: rdev-infra, project: ${slug}`;
  const gitea = { authorization: `token ${variable("GITEA_TOKEN")}` };
  await json(`${variable("GITEA_URL")}/api/v1/repos/${organization}/${slug}`, gitea, {
    method: "PATCH",
    body: { description: `Test ${slug} (${mark})` },
  });

  const woodpecker = { authorization: `Bearer ${variable("WOODPECKER_TOKEN")}` };
  const repositories = `${variable("WOODPECKER_URL")}/api/repos`;
  const { id } = await json<{ id: number }>(
    `${repositories}/lookup/${organization}/${slug}`,
    woodpecker,
  );
  const secrets = await json<{ name: string }[]>(`${repositories}/${id}/secrets`, woodpecker);
  for (const { name } of secrets) {
    const path = `${repositories}/${id}/secrets/${name}`;
    await json(path, woodpecker, { method: "PATCH", body: { note: mark } });
  }

  const zone = `${variable("POWERDNS_URL")}/api/v1/servers/localhost/zones/${domain}.`;
  const dns = { "x-api-key": variable("POWERDNS_API_KEY") };
  const { rrsets } = await json<{ rrsets: { name: string; type: string }[] }>(zone, dns);
  const record = rrsets.find(({ name }) => name === `${slug}.${domain}.`);
  await json(zone, dns, {
    method: "PATCH",
    status: 204,
    body: {
      rrsets: [{ ...record, changetype: "REPLACE", comments: [{ content: mark, account: "" }] }],
    },
  });

  const annotations = { "managed-by": "rdev-infra", project: slug };
  const type = "application/vnd.rdev-infra.mark.v1";
  const registry = new Registry();
  await registry.pushEmpty(slug, MARK, type, annotations);
  const digest = await registry.digest(markPath(slug), MARK);
  await registry.deleteManifest(markPath(slug), digest ?? "");

  const postgres = new pg.Client({ connectionString: variable("POSTGRES_ADMIN_URL") });
  await postgres.connect();
  try {
    for (const kind of ["ROLE", "DATABASE"]) {
      await postgres.query(`COMMENT ON ${kind} ${databaseName(slug)} IS '${mark}'`);
    }
  } finally {
    await postgres.end();
  }

  const redis = new Redis(variable("REDIS_ADMIN_URL"));
  await redis.hset("rdev-infra:owners", slug, mark).finally(() => redis.disconnect());

  const core = kubeConfig(place).makeApiClient(CoreV1Api);
  await core.patchNamespace(
    {
      name: slug,
      body: { metadata: { labels: { "rdev.io/platform": null, "rdev.io/stack": null } } },
    },
    setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
  );
}
