import { NO_CHANGES } from "../../core/operation.ts";
import { makeNeighbour } from "../proofs/neighbour.ts";
import { expect, PROOFS } from "../proofs/proofs.ts";
import { describeChanges, step } from "./screen.ts";
import type { Stage } from "./stage.ts";

const NAME = "My First Project!";
const NEIGHBOUR = "neighbour";

/** The life of a project whose pods run nothing: proofs on the servers show that each system works. */
export async function simulatedPodsStory(stage: Stage): Promise<void> {
  await stage.bringUp("the log agent runs");
  const project = await stage.create(NAME);
  const neighbour = await makeNeighbour(NEIGHBOUR, project.env);
  for (const [system, prove] of PROOFS) {
    await step(`${system} shows it`, async () => [undefined, await prove(project, NEIGHBOUR)]);
  }
  await neighbour.remove();

  const path = `/v1/projects/${project.slug}`;
  await step(`PUT ${path} again`, async () => {
    const { outcome } = await stage.api.operate("PUT", path, { body: {} });
    const { create, update, replace, delete: deleted } = outcome?.changes ?? NO_CHANGES;
    expect(create + update + replace + deleted === 0, "a second update changes nothing");
    return [undefined, [describeChanges(outcome)]];
  });
  await step(`DELETE ${path}?dryRun=true`, async () => {
    const { outcome } = await stage.api.operate("DELETE", `${path}?dryRun=true`);
    return [undefined, [`would be: ${describeChanges(outcome)}`]];
  });
  await stage.delete(project.slug);
  await stage.close([project.slug, NEIGHBOUR]);
}
