import { expect, json, type Sight, type Stage, variable } from "./stage.ts";

/** Looks at the project's path in the registry: it holds its mark. */
export async function proveRegistry(stage: Stage): Promise<Sight> {
  const { tags } = await registryTags(stage, stage.slug);
  expect(tags.includes("rdev-infra"), "the path carries the mark");
  return [`${stage.slug}: tags ${tags.join(" ")}`];
}

/** The tags in a path; none where there is no such path. */
export async function registryTags(
  stage: Pick<Stage, "env">,
  path: string,
): Promise<{ tags: string[] }> {
  const account = `${variable(stage, "REGISTRY_USERNAME")}:${variable(stage, "REGISTRY_PASSWORD")}`;
  const headers = { authorization: `Basic ${Buffer.from(account).toString("base64")}` };
  const url = `${variable(stage, "REGISTRY_URL")}/v2/${path}/tags/list`;
  try {
    const { tags } = await json<{ tags: string[] | null }>(url, headers);
    return { tags: tags ?? [] };
  } catch (error) {
    if ((error as Error).message.includes("answered 404")) return { tags: [] };
    throw error;
  }
}
