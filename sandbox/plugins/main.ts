/**
 * Runs a stand-in for one of Pulumi's plugins: node main.ts <name> <arguments of the engine>.
 *
 * - command: `local.Command` of @pulumi/command.
 * - kubernetes (4.34): every kind that the API server serves, and the Patch resources, by server-side
 *   apply. There are no Helm, Kustomize, YAML and List resources.
 * - random: RandomPassword, RandomString and RandomId.
 * - nodejs: the language host, which runs the program with the SDK's own runner, as plain `pulumi up`
 *   needs. Programs of the Automation API need no language host.
 */
import languageRpc from "@pulumi/pulumi/proto/language_grpc_pb.js";
import { serveOnFreePort, serveProvider } from "./serve.ts";

const name = process.argv[2] ?? "";

const PLUGINS: Readonly<Record<string, () => Promise<void>>> = {
  async command() {
    await serveProvider((await import("./command/command-provider.ts")).commandProvider);
  },
  async kubernetes() {
    await serveProvider((await import("./kubernetes/kubernetes-provider.ts")).kubernetesProvider);
  },
  async random() {
    await serveProvider((await import("./random/random-provider.ts")).randomProvider);
  },
  async nodejs() {
    const { languageHost } = await import("./nodejs/language-host.ts");
    // The engine passes flags before its address.
    const host = languageHost(process.argv.at(-1) ?? "");
    await serveOnFreePort(languageRpc.LanguageRuntimeService, host);
  },
};

const start = PLUGINS[name];
if (!start) throw new Error(`there is no stand-in for the plugin "${name}"`);
await start();
