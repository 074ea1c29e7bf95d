/** Stands in for the plugin command: Command of @pulumi/command/local. */
import { serveProvider } from "../serve.ts";
import { commandProvider } from "./command-provider.ts";

await serveProvider(commandProvider);
