import { configText } from "../provider.ts";
import { textOf, type Properties } from "../values.ts";

/** The provider's configuration, as the official plugin reads it. */
export interface Settings {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly namespace: string | undefined;
  readonly configMapMutable: boolean;
  readonly secretMutable: boolean;
  readonly patchForce: boolean;
  /** Creates by server-side apply, which adopts an existing object instead of failing. */
  readonly upsert: boolean;
}

export function readSettings(config: Properties): Settings {
  const isTrue = (name: string, variable: string) =>
    textOf(config[name] ?? process.env[variable]).toLowerCase() === "true";
  return {
    kubeconfig: configText(config, "kubeconfig"),
    context: configText(config, "context"),
    namespace: configText(config, "namespace"),
    configMapMutable: isTrue("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
    secretMutable: isTrue("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
    patchForce: isTrue("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
    upsert: isTrue("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
  };
}
