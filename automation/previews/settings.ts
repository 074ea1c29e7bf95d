import type { Connection } from "../../core/connections.ts";
import { InfraError, problems } from "../../core/errors.ts";
import { type PreviewSettings, previewSettings } from "../../core/previews/settings.ts";
import { parseSettings, readSettingsFile } from "../settings-file.ts";

/**
 * The settings in the file of RDEV_INFRA_PREVIEWS_FILE, with the webhook's secret. Undefined without the
 * variable. Rejects with one RDEV_PREVIEWS that names every problem.
 */
export async function readPreviewSettings({
  file,
  secret,
}: Connection<"previews">): Promise<(PreviewSettings & { readonly secret: string }) | undefined> {
  if (file === undefined) return undefined;
  if (secret === undefined) {
    throw new InfraError(
      "RDEV_PREVIEWS",
      "RDEV_INFRA_PREVIEWS_FILE needs the webhook's secret in RDEV_INFRA_FORGE_SECRET.",
    );
  }
  const content = parseSettings(
    await readSettingsFile(file, "RDEV_PREVIEWS"),
    file,
    "RDEV_PREVIEWS",
  );
  const parsed = previewSettings.safeParse(content);
  if (parsed.success) return { ...parsed.data, secret };
  throw problems(
    "RDEV_PREVIEWS",
    `${file} has errors (docs/fleet.md#previews-by-the-service lists its settings):`,
    parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the file"}: ${message}`),
  );
}
