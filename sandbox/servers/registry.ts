import { generateKeyPairSync, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { serveTokens } from "../../automation/registry/serve-tokens.ts";
import { readSigningKey } from "../../automation/registry/signing-key.ts";
import { ISSUER, openIssuer, SERVICE } from "../../automation/registry/token-issuer.ts";
import { connection } from "../../core/connections.ts";
import { Registry } from "../../providers/registry/client.ts";
import { ADMINISTRATOR, NegotiatedAuthorization } from "../../providers/registry/authorization.ts";
import { type Context, type Part, partFolder } from "../context.ts";
import { startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";

export interface RegistryServer {
  readonly url: string;
  /** The variables with which rdev-infra uses the registry and issues its tokens. */
  readonly variables: Readonly<Record<string, string>>;
  readonly part: Part;
}

/**
 * Starts an OCI registry that allows deletes, and its token issuer in this process. The issuer's close
 * function is passed to `atEnd` before the registry starts, so that a failed start leaves no listener.
 */
export async function startRegistry(
  context: Context,
  registry: BuiltFamily,
  atEnd: (close: () => Promise<void>) => void,
): Promise<RegistryServer> {
  const folder = await partFolder(context, "registry");
  const keyFile = join(folder, "token-key.pem");
  await writeFile(keyFile, signingKeyPem(), { mode: 0o600 });
  const address = `127.0.0.1:${context.ports.take()}`;
  const url = `http://${address}`;
  const variables = {
    REGISTRY_URL: url,
    REGISTRY_USERNAME: "rdev-admin",
    REGISTRY_PASSWORD: context.secrets.make(),
    REGISTRY_TOKEN_SECRET: context.secrets.make(),
    REGISTRY_TOKEN_KEY_FILE: keyFile,
    REGISTRY_TOKEN_LISTEN: `127.0.0.1:${context.ports.take()}`,
  };
  const tokens = connection("registryTokens", variables);
  const { host, port } = tokens;
  const server = await serveTokens({
    issuer: await openIssuer(tokens),
    host,
    port,
    logger: pino({ enabled: false }),
    // All tests share one address, so the limits must not apply.
    limits: { tokensPerMinute: 1_000_000, unauthenticatedPerMinute: 1_000_000 },
  });
  atEnd(() => server.close());

  const jwks = join(folder, "jwks.json");
  await writeFile(jwks, JSON.stringify({ keys: [(await readSigningKey(tokens)).jwk] }));
  const config = join(folder, "config.json");
  // A node that pulls an image asks there for a token.
  const realm = `${await context.forPods(server.url)}/v1/registry/token`;
  // YAML is a superset of JSON.
  const settings = {
    version: "0.1",
    log: { level: "warn", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
    http: { addr: address, secret: randomBytes(16).toString("hex") },
    auth: { token: { realm, service: SERVICE, issuer: ISSUER, jwks } },
  };
  await writeFile(config, JSON.stringify(settings, null, 2), { mode: 0o600 });

  const { username, password } = tokens.admin;
  const administrator = new Registry({
    url,
    credential: ADMINISTRATOR,
    secrets: [password],
    authorization: new NegotiatedAuthorization({ url, username, password }, ADMINISTRATOR),
  });
  await startServer(context, {
    name: "registry",
    command: registry.program("registry"),
    args: ["serve", config],
    folder,
    ready: () => administrator.tags("ready"),
  });
  return {
    url,
    variables,
    part: {
      name: "OCI registry",
      real: true,
      version: registry.version,
      address: url,
      reach:
        "REGISTRY_USERNAME and REGISTRY_PASSWORD; REGISTRY_TOKEN_SECRET derives the projects' accounts",
    },
  };
}

function signingKeyPem(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}
