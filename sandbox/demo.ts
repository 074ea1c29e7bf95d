/**
 * Demonstrates the whole life of a project on a sandbox of its own: Pulumi's engine brings up a
 * platform, the API creates a project, and after its deletion nothing is left on the servers. By
 * default pods are simulated, and proofs on the servers show that the project works. On a real node,
 * the project's own code is built, deployed and used.
 */
import { Command } from "commander";
import { userMessage } from "../core/errors.ts";
import { realPodsStory } from "./demo/real-pods.ts";
import { done, failed } from "./demo/screen.ts";
import { simulatedPodsStory } from "./demo/simulated-pods.ts";
import { Stage } from "./demo/stage.ts";
import { givenForge } from "./forge.ts";

const { realNode = false } = new Command("npm run demo --")
  .description("Shows the whole life of a project on a sandbox of its own.")
  .option(
    "--real-node",
    "build the project and run it on a real node (needs Linux and root), instead of simulating its pods",
  )
  .parse()
  .opts<{ realNode?: true }>();

let stage: Stage | undefined;
try {
  if (realNode) {
    const forge = givenForge();
    stage = await Stage.open("the local platform starts, with a real node", {
      realNode,
      runPipelines: true,
      ...(forge && { forge }),
    });
    await realPodsStory(stage);
  } else {
    stage = await Stage.open("the local platform starts", {});
    await simulatedPodsStory(stage);
  }
  done();
} catch (error) {
  failed(userMessage(error));
  process.exitCode = 1;
} finally {
  await stage?.stop();
}
