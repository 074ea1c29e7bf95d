import { z } from "zod";
import type { Connection } from "../../core/connections.ts";
import { problems } from "../../core/errors.ts";
import { type IdentitySettings, identitySettings } from "../../core/identity.ts";
import { parseSettings, readSettingsFile } from "../settings-file.ts";

/**
 * Reads the file of RDEV_INFRA_IDENTITY_FILE, in YAML or JSON. Rejects with one RDEV_IDENTITY that names
 * every problem. Without the variable, API keys are the only way in.
 */
export async function readIdentitySettings(
  variables: Connection<"identity">,
): Promise<IdentitySettings> {
  const { file } = variables;
  if (file === undefined) return {};
  return parseIdentitySettings(await readSettingsFile(file, "RDEV_IDENTITY"), variables);
}

export function parseIdentitySettings(
  text: string,
  { file, sessionKey }: Pick<Connection<"identity">, "file" | "sessionKey">,
): IdentitySettings {
  const content = parseSettings(text, file, "RDEV_IDENTITY");
  const parsed = identitySettings.safeParse(content ?? {});
  const lines = (parsed.error?.issues ?? []).map(
    ({ path, message }) => `${path.join(".") || "the file"}: ${message}`,
  );
  if (sessionKey === undefined && withSignIn.safeParse(content).success) {
    lines.push("people.signIn: needs the variable RDEV_INFRA_SESSION_KEY, which is missing");
  }
  if (parsed.success && lines.length === 0) return parsed.data;
  throw problems(
    "RDEV_IDENTITY",
    `${file} has errors (docs/identity.md lists its settings):`,
    lines,
  );
}

const withSignIn = z.object({ people: z.object({ signIn: z.looseObject({}) }) });
