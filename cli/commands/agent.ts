import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";

export function addAgent(program: Command): void {
  program
    .command("agent")
    .description("the log agent on the nodes")
    .command("replay <folder>")
    .description(
      "send to Citadel what an agent kept aside: a node's /var/lib/citadel-agent/chunks/rejected, " +
        "or a copy; exits with 1 when some can never be taken",
    )
    .action(replay);
}

async function replay(folder: string): Promise<void> {
  const [{ replayRejected }, { Citadel }] = await Promise.all([
    import("../../automation/agent/replay.ts"),
    import("../../providers/citadel/client.ts"),
  ]);
  const { files, accepted, refused } = await replayRejected(folder, new Citadel());
  console.log(`${files} files: ${accepted} events accepted, ${refused} refused`);
  if (refused > 0) process.exitCode = EXIT.failed;
}
