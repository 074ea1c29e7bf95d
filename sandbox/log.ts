/**
 * Sends one log line to a project's environment in Citadel: npm run sandbox:log -- my-app "hello".
 *
 * The sandbox's pods run no process, so no project writes a log line there by itself.
 */
import { Command, Option } from "commander";
import { connection } from "../core/connections.ts";
import { InfraError, userMessage } from "../core/errors.ts";
import { Citadel } from "../providers/citadel/client.ts";
import { type Level, LEVELS } from "../providers/citadel/port.ts";
import { PLATFORM } from "./platform.ts";

const program = new Command("npm run sandbox:log --")
  .description("Sends one log line as a project. Source the sandbox's env.sh first.")
  .argument("<slug>", "the project's slug, such as my-app")
  .argument("<message>", "the text of the line")
  .addOption(new Option("--level <level>", "its level").choices(LEVELS).default("info"))
  .parse();
const [slug = "", message = ""] = program.args;
const { level } = program.opts<{ level: Level }>();

try {
  const { url, apiKey, agentKey } = connection("citadel");
  const environment = await new Citadel({ url, apiKey }).environments.find(slug);
  if (!environment) {
    const text = `Citadel has no environment for "${slug}". Create the project first: npx rdev-infra up ${PLATFORM}.${slug}`;
    throw new InfraError("RDEV_TENANT", text);
  }
  const event = { message, level, timestamp: new Date().toISOString(), service: slug };
  const { refused } = await new Citadel({ url, apiKey: agentKey }).ingest(environment.id, [
    { ...event, environment: PLATFORM, target: "stdout" },
  ]);
  if (refused[0]) throw new InfraError("RDEV_REFUSED", `Citadel refused it: ${refused[0].reason}`);
  console.log(
    `Sent. To see it: npx rdev-infra logs ${JSON.stringify(`level:${level}`)} --project ${slug}`,
  );
} catch (error) {
  console.error(userMessage(error));
  process.exitCode = 1;
}
