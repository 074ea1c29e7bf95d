import { expect, json, type Sight, type Stage, variable } from "./stage.ts";

/** Looks the repository up in Woodpecker: active, with its secrets, and with a first run. */
export async function proveWoodpecker(stage: Stage): Promise<Sight> {
  const { organization, slug } = stage;
  const url = variable(stage, "WOODPECKER_URL");
  const headers = { authorization: `Bearer ${variable(stage, "WOODPECKER_TOKEN")}` };
  const get = <T>(path: string) => json<T>(`${url}/api/repos/${path}`, headers);
  const repository = await get<{ id: number; active: boolean }>(`lookup/${organization}/${slug}`);
  const [secrets, pipelines] = await Promise.all([
    get<{ name: string }[]>(`${repository.id}/secrets`),
    get<{ number: number; status: string }[]>(`${repository.id}/pipelines`),
  ]);
  const names = secrets.map(({ name }) => name).sort();
  expect(repository.active, "the repository is active");
  expect(
    names.join(" ") === "kube_ca kube_token registry_password registry_username",
    `its secrets are set (${names.join(" ")})`,
  );
  expect(pipelines.length === 1, `one pipeline was triggered (${pipelines.length})`);
  return [
    `${organization}/${slug} is active; secrets ${names.join(" ")}`,
    `pipeline #${pipelines[0]?.number} is ${pipelines[0]?.status}`,
  ];
}
