import { z } from "zod";
import { InfraError } from "./errors.ts";

const PASSPHRASE = "passphrase";

/** What Pulumi can encrypt a stack's secrets with: a passphrase, or a key that a server keeps. */
const PROVIDERS = [PASSPHRASE, "hashivault://", "awskms://", "gcpkms://", "azurekeyvault://"];

/** Throws RDEV_SETTINGS unless the text is `passphrase` or the URL of a key that Pulumi can use. */
export function parseSecretsProvider(text: string): string {
  const isKey = PROVIDERS.some((each) => each.endsWith("//") && text.startsWith(each));
  if (text === PASSPHRASE || (isKey && /^\S+:\/\/\S+$/.test(text))) return text;
  throw new InfraError(
    "RDEV_SETTINGS",
    `"${text}" is no secrets provider. Use one of: ${PROVIDERS.map((each) => (each === PASSPHRASE ? each : `${each}<key>`)).join(", ")}.`,
  );
}

/** How a stack's secrets are encrypted. */
export interface StackSecrets {
  /** `passphrase`, or the URL of a key. */
  readonly provider: string;
  /** What opens the secrets with the passphrase or the key. It is no secret. */
  readonly opener: string;
}

export function needsPassphrase({ provider }: StackSecrets): boolean {
  return provider === PASSPHRASE;
}

const inState = z.discriminatedUnion("type", [
  z
    .object({ type: z.literal("passphrase"), state: z.object({ salt: z.string() }) })
    .transform(({ state }) => ({ provider: PASSPHRASE, opener: state.salt })),
  z
    .object({
      type: z.literal("cloud"),
      state: z.object({ url: z.string(), encryptedkey: z.string() }),
    })
    .transform(({ state }) => ({ provider: state.url, opener: state.encryptedkey })),
]);

/** Reads `secrets_providers` of a state; undefined if it has none, or one of Pulumi's own service. */
export function secretsOfState(secretsProviders: unknown): StackSecrets | undefined {
  return inState.safeParse(secretsProviders).data;
}

const inFile = z.looseObject({
  secretsprovider: z.string().optional(),
  encryptedkey: z.string().optional(),
  encryptionsalt: z.string().optional(),
});

/** Reads the content of a `Pulumi.<stack>.yaml`; undefined if it says nothing about secrets. */
export function secretsOfFile(content: unknown): StackSecrets | undefined {
  const { secretsprovider, encryptedkey, encryptionsalt } = inFile.safeParse(content).data ?? {};
  const named = secretsprovider === "default" ? PASSPHRASE : secretsprovider;
  const provider = named ?? (encryptionsalt === undefined ? undefined : PASSPHRASE);
  if (provider === undefined) return undefined;
  return { provider, opener: (provider === PASSPHRASE ? encryptionsalt : encryptedkey) ?? "" };
}

/** The fields of a `Pulumi.<stack>.yaml` that `secretsOfFile` reads as these secrets. */
export function fieldsOfSecrets(secrets: StackSecrets): Readonly<Record<string, string>> {
  const { provider, opener } = secrets;
  return needsPassphrase(secrets)
    ? { encryptionsalt: opener }
    : { secretsprovider: provider, encryptedkey: opener };
}
