/**
 * Stands in for the language host of Node.js: runs the project's program with the SDK's own runner,
 * as plain `pulumi up` asks for. Programs of the Automation API need no language host.
 */
import languageRpc from "@pulumi/pulumi/proto/language_grpc_pb.js";
import { serveOnFreePort } from "../serve.ts";
import { languageHost } from "./language-host.ts";

await serveOnFreePort(languageRpc.LanguageRuntimeService, languageHost(process.argv.at(-1) ?? ""));
