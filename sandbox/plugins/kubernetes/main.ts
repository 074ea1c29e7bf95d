/**
 * Stands in for the plugin kubernetes (4.34): every kind that an API server serves, and the Patch
 * resources, by server-side apply. It has no Helm, Kustomize, YAML or List resources.
 */
import { serveProvider } from "../serve.ts";
import { kubernetesProvider } from "./kubernetes-provider.ts";

await serveProvider(kubernetesProvider);
