import { styleText } from "node:util";
import { Command } from "commander";
import { userMessage } from "../core/errors.ts";
import { sandboxPlatform } from "./platform.ts";
import { givenForge } from "./forge.ts";
import { type Progress, type Sandbox, startSandbox } from "./sandbox.ts";
import { type SandboxService, startService } from "./service.ts";

const program = new Command("npm run sandbox --")
  .description("Starts the local platform, which runs until Ctrl-C.")
  .option("--json", "print one JSON document to standard output when it is ready")
  .option(
    "--real-node",
    "run pods on a real node (needs Linux and root), instead of simulating them",
  )
  .option(
    "--run-pipelines",
    "run pipelines, as processes of this machine, or on the Woodpecker of WOODPECKER_URL",
  );

const options = program.parse().opts<{ json?: true; realNode?: true; runPipelines?: true }>();

try {
  // The stand-ins keep this process running. A signal stops everything.
  const forge = options.runPipelines && givenForge();
  const sandbox = await startSandbox({
    ...(await sandboxPlatform()),
    realNode: options.realNode ?? false,
    runPipelines: options.runPipelines ?? false,
    ...(forge && { forge }),
    onProgress: ({ part, text, elapsedMs }: Progress) =>
      console.error(`${(elapsedMs / 1000).toFixed(1).padStart(6)} s  ${part}: ${text}`),
  });
  if (options.json) {
    console.log(asJson(sandbox));
  } else {
    const service = await startService(sandbox);
    // A signal to this process alone does not reach the service.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
      process.once(signal, () => void service.stop());
    console.log(asText(sandbox, service));
  }
} catch (error) {
  console.error(userMessage(error));
  process.exitCode = 1;
}

function asJson({ env, parts, engine, node, dns, folder, workFolder, envFile }: Sandbox): string {
  const link = node?.link;
  return JSON.stringify({ env, parts, engine, link, dns, folder, workFolder, envFile });
}

function asText({ parts, engine, node, envFile }: Sandbox, { url, key }: SandboxService): string {
  const lines = parts.map(({ name, real, version, address, reach }) => {
    const kind = real ? `real${version ? `, ${version}` : ""}` : "stand-in";
    return `${styleText("bold", name.padEnd(13))} ${address}  (${kind})\n${" ".repeat(14)}${reach}`;
  });
  return [
    "",
    ...lines,
    "",
    engine.description,
    "",
    `The page: ${styleText("bold", url)}  (paste this key, which is an administrator's: ${key})`,
    "",
    "To use it from another shell (the file also changes to a work folder, a stand-in for this one):",
    `  . ${envFile}`,
    "  npx rdev-infra up staging",
    "  npx rdev-infra up staging.my-app",
    ...(node
      ? []
      : [
          '  npm run sandbox:log -- my-app "hello"    # the pods run nothing, so send a line yourself',
        ]),
    '  npx rdev-infra logs "hello" --project my-app',
    ...(node ? ["To look around on the node:", `  ${node.enter("sh", []).join(" ")}`] : []),
    "Ctrl-C stops everything and removes its data.",
  ].join("\n");
}
