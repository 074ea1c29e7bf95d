import { styleText } from "node:util";
import { Command } from "commander";
import { userMessage } from "../core/errors.ts";
import { sandboxPlatform } from "./platform.ts";
import { givenForge } from "./forge.ts";
import type { SandboxPage } from "./page.ts";
import { type Sandbox, startSandbox } from "./sandbox.ts";

const program = new Command("npm run sandbox --")
  .description("Starts the local platform and the service's page, which run until Ctrl-C.")
  .option("--json", "start the servers only, and print one JSON document to standard output")
  .option(
    "--real-node",
    "run pods on a real node (needs Linux and root), instead of simulating them",
  )
  .option(
    "--run-pipelines",
    "run pipelines, as processes of this machine, or on the Woodpecker of WOODPECKER_URL",
  );

const options = program.parse().opts<{ json?: true; realNode?: true; runPipelines?: true }>();

const begin = Date.now();
const report = (part: string, text: string) =>
  console.error(`${((Date.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${part}: ${text}`);

let sandbox: Sandbox | undefined;
try {
  // The stand-ins keep this process running. A signal stops everything.
  const forge = options.runPipelines && givenForge();
  sandbox = await startSandbox({
    ...(await sandboxPlatform()),
    realNode: options.realNode ?? false,
    runPipelines: options.runPipelines ?? false,
    ...(forge && { forge }),
    onProgress: ({ part, text }) => report(part, text),
  });
  if (options.json) {
    console.log(asJson(sandbox));
  } else {
    // The engine takes a second to load, and is of no use with --json.
    const { openPage } = await import("./page.ts");
    // A Gitea that was given keeps its accounts as they are.
    const page = await openPage(sandbox, { report, withPerson: !forge });
    // Otherwise the service would end after its servers, and report each of them as lost.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
      process.once(signal, () => void page.stop());
    console.log(asText(sandbox, page));
  }
} catch (error) {
  console.error(userMessage(error));
  process.exitCode = 1;
  await sandbox?.stop();
}

function asJson({ env, parts, engine, node, dns, folder, workFolder, envFile }: Sandbox): string {
  const link = node?.link;
  return JSON.stringify({ env, parts, engine, link, dns, folder, workFolder, envFile });
}

function asText({ parts, engine, node, envFile }: Sandbox, page: SandboxPage): string {
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
    ...waysIn(page),
    "",
    "To use it from another shell (the file also changes to a work folder, a stand-in for this one):",
    `  . ${envFile}`,
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

/** The page's address, and how a person who knows nothing else signs in as an administrator. */
function waysIn({ service, person, notifications }: SandboxPage): string[] {
  return [
    `The page: ${styleText("bold", service.url)}`,
    ...(person ? [`  sign in at Gitea: name ${person.login}, password ${person.password}`] : []),
    `  paste an API key: ${service.key}`,
    `Notifications that the service sent: curl ${notifications}`,
  ];
}
