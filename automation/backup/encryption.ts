import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { Decrypter, Encrypter } from "age-encryption";
import { InfraError, problems } from "../../core/errors.ts";
import { damaged } from "./format.ts";

/** The first line of a file that age encrypted: age-encryption.org/v1. */
const MAGIC = "age-encryption.org/";

/** The readers of a backup: age recipients (`age1…`), or everybody who has the file. */
export type Recipients = readonly string[] | "unencrypted";

/** How a backup is read: age identities (`AGE-SECRET-KEY-1…`), or as an unencrypted file. */
export type Identities = readonly string[] | "unencrypted";

/** Throws RDEV_BACKUP_KEY, which names every malformed recipient. */
export function checkRecipients(recipients: readonly string[]): void {
  const mistakes = recipients.flatMap((text, index) => {
    if (isRecipient(text)) return [];
    // A secret key, given by mistake, must not be repeated.
    const what = text.startsWith("age1") ? text : `number ${index + 1}`;
    return [`${what} is not an age recipient (age1…)`];
  });
  if (recipients.length > 0 && mistakes.length === 0) return;
  throw problems(
    "RDEV_BACKUP_KEY",
    "A backup is encrypted for the public keys that age-keygen prints:",
    recipients.length > 0 ? mistakes : ["no recipient was given"],
  );
}

/** The identities in a file of age-keygen. Throws RDEV_BACKUP_KEY, which never repeats a key. */
export async function readIdentities(file: string): Promise<string[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new InfraError("RDEV_BACKUP_KEY", `${file} cannot be read (${error.code}).`);
  });
  const lines = text.split("\n").map((line, index) => ({ text: line.trim(), number: index + 1 }));
  const keys = lines.filter((line) => line.text !== "" && !line.text.startsWith("#"));
  const mistakes = keys.filter((key) => !isIdentity(key.text)).map(({ number }) => number);
  if (keys.length > 0 && mistakes.length === 0) return keys.map((key) => key.text);
  throw new InfraError(
    "RDEV_BACKUP_KEY",
    keys.length === 0
      ? `${file} holds no key. It must be a file of age-keygen, with a line AGE-SECRET-KEY-1…`
      : `${file} is not a file of age-keygen: line ${mistakes.join(", ")} is no AGE-SECRET-KEY-1…`,
  );
}

/** A step of a pipeline. */
export function encrypting(recipients: readonly string[]) {
  return async function* (plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const encrypter = new Encrypter();
    for (const recipient of recipients) encrypter.addRecipient(recipient);
    yield* await encrypter.encrypt(ReadableStream.from(plain));
  };
}

/**
 * Decrypts the file that begins with `start`. Rejects with RDEV_BACKUP_KEY if no identity fits, or if the
 * file is not encrypted and `identities` does not say so. The stream fails if the file was cut or changed.
 */
export async function decrypted(
  source: Readable,
  start: string,
  identities: Identities,
): Promise<Readable> {
  const isEncrypted = start.startsWith(MAGIC);
  if (identities === "unencrypted") {
    if (!isEncrypted) return source;
    throw new InfraError("RDEV_BACKUP_KEY", "The backup is encrypted: name the file of its key.");
  }
  if (!isEncrypted) {
    throw new InfraError(
      "RDEV_BACKUP_KEY",
      "The file is not encrypted, so nothing shows that it is a backup of yours and unchanged. If you " +
        "made it so, say --unencrypted instead of --identity.",
    );
  }
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    return Readable.from(await decrypter.decrypt(ReadableStream.from(source)));
  } catch (cause) {
    if (!/no identity matched/.test(String(cause)))
      throw damaged("its head is cut or changed", { cause });
    throw new InfraError(
      "RDEV_BACKUP_KEY",
      "The backup was made for another key: none of the identities can decrypt it.",
      { cause },
    );
  }
}

function isRecipient(text: string): boolean {
  return isAccepted(() => new Encrypter().addRecipient(text));
}

function isIdentity(text: string): boolean {
  return isAccepted(() => new Decrypter().addIdentity(text));
}

function isAccepted(add: () => void): boolean {
  try {
    add();
    return true;
  } catch {
    return false;
  }
}
