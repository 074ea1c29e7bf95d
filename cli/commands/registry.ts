import type { Command } from "commander";
import { connection } from "../../core/connections.ts";

export function addRegistry(program: Command): void {
  const registry = program.command("registry").description("the image registry's tokens");
  registry
    .command("serve")
    .description("issue tokens to the registry's accounts until Ctrl-C (the service does so too)")
    .addHelpText("after", "\ndocs/operations.md says how to set up a registry for it.")
    .action(serve);
  registry
    .command("key")
    .description("print the public key for the registry, as a JWK set (for distribution)")
    .option("--pem", "print it as PEM (for Zot)")
    .action(printKey);
}

async function serve(): Promise<void> {
  const { host, port, ...tokens } = connection("registryTokens");
  const stopped = new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve()).once("SIGTERM", () => resolve());
  });
  const { pino } = await import("pino");
  const { logOptions } = await import("../../automation/service/log.ts");
  const { openIssuer } = await import("../../automation/registry/token-issuer.ts");
  const { serveTokens } = await import("../../automation/registry/serve-tokens.ts");
  const logger = pino(logOptions("info"));
  const issuer = await openIssuer({ ...tokens, host, port });
  const server = await serveTokens({ issuer, host, port, logger });
  logger.info({ component: "service" }, `issues tokens at ${server.url}/v1/registry/token`);
  await stopped;
  await server.close();
}

async function printKey({ pem }: { readonly pem?: boolean }): Promise<void> {
  const { readSigningKey } = await import("../../automation/registry/signing-key.ts");
  const key = await readSigningKey(connection("registryTokens"));
  console.log(pem ? key.pem.trimEnd() : JSON.stringify({ keys: [key.jwk] }, null, 2));
}
