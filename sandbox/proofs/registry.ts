import { MARK, markPath } from "../../providers/registry/mark.ts";
import { ADMINISTRATOR, NegotiatedAuthorization } from "../../providers/registry/authorization.ts";
import { Registry } from "../../providers/registry/client.ts";
import { expect, type Sight, type Stage, variable } from "./stage.ts";

/** Looks at the project's path in the registry: its mark lies where no pipeline can write. */
export async function proveRegistry(stage: Stage): Promise<Sight> {
  const path = markPath(stage.slug);
  expect((await registryTags(stage, path)).includes(MARK), "the path carries the mark");
  return [`${path}: tag ${MARK}`];
}

/** The tags in a path; none where there is no such path. */
export function registryTags(stage: Pick<Stage, "env">, path: string): Promise<string[]> {
  const url = variable(stage, "REGISTRY_URL");
  const username = variable(stage, "REGISTRY_USERNAME");
  const password = variable(stage, "REGISTRY_PASSWORD");
  const authorization = new NegotiatedAuthorization({ url, username, password }, ADMINISTRATOR);
  const options = { url, authorization, credential: ADMINISTRATOR, secrets: [password] };
  return new Registry(options).tags(path);
}
