import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { type AccountName, registryAccount } from "../../core/registry.ts";
import { AskedAuthorization } from "./authorization.ts";
import { Registry } from "./client.ts";

/**
 * Proves, with the project's own account, that its pipeline will be able to push. Throws an error that
 * says what is not set up yet.
 */
export async function assertPushable(repository: string, name: AccountName): Promise<void> {
  const { url, tokenSecret } = connection("registry");
  if (tokenSecret === undefined) {
    throw new InfraError("RDEV_CONNECTION", "REGISTRY_TOKEN_SECRET is missing.");
  }
  const account = registryAccount(tokenSecret, name);
  const credential = `the project's account ${account.username} (of REGISTRY_TOKEN_SECRET)`;
  const authorization = new AskedAuthorization({ url, ...account }, credential);
  const options = { url, authorization, credential, secrets: [account.password] };
  if (!(await authorization.isByToken())) {
    throw new InfraError(
      "RDEV_REFUSED",
      `The registry at ${url} does not ask for tokens, so projects can have no accounts of their ` +
        "own there. docs/operations.md says how it is set up; until then set " +
        "rdev:registryAccounts to shared on the platform.",
    );
  }
  await new Registry(options).assertWritable(repository);
}
