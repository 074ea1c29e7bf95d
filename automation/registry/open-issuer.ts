import type { Connection } from "../../core/connections.ts";
import { Registry } from "../../providers/registry/client.ts";
import { markedFor } from "../../providers/registry/mark.ts";
import { readSigningKey } from "./signing-key.ts";
import { TokenIssuer } from "./token-issuer.ts";

/** The issuer of a platform's registry: it looks at the marks there with tokens of its own. */
export async function openIssuer(connection: Connection<"registryTokens">): Promise<TokenIssuer> {
  const { url, admin, shared, secret, oldestVersion } = connection;
  const ownToken = async (name: string): Promise<string> => {
    const scope = { type: "repository", name, actions: ["pull"] };
    return (await issuer.issue(admin.username, { kind: "administrator" }, [scope])).text;
  };
  const registry = new Registry({
    ...{ url, credential: "the issuer's own token", secrets: [] },
    authorization: {
      isByToken: () => Promise.resolve(true),
      header: async (name) => `Bearer ${await ownToken(name)}`,
    },
  });
  const issuer: TokenIssuer = new TokenIssuer({
    ...{ key: await readSigningKey(connection), secret, oldestVersion, shared },
    administrator: admin,
    markOf: (repository) => markedFor(registry, repository),
  });
  return issuer;
}
