/** The engine's calls to a language host, for plain JavaScript projects. */
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import emptyProto from "google-protobuf/google/protobuf/empty_pb.js";
import languageProto from "@pulumi/pulumi/proto/language_pb.js";
import pluginProto from "@pulumi/pulumi/proto/plugin_pb.js";
import { unary } from "../serve.ts";
import { runProgram } from "./run-program.ts";

/** The exit code of the SDK's runner after it printed the error itself (cmd/run/index.ts). */
const EXPLAINED_EXIT = 32;

export function languageHost(engineAddress: string): UntypedServiceImplementation {
  const cancellation = new AbortController();
  return {
    // Empty, so that the engine loads a plugin only when a resource needs it.
    getRequiredPlugins: unary(() => new languageProto.GetRequiredPluginsResponse()),
    getRequiredPackages: unary(() => new languageProto.GetRequiredPackagesResponse()),
    getPluginInfo: unary(() => new pluginProto.PluginInfo().setVersion("1.0.0")),
    runtimeOptionsPrompts: unary(() => new languageProto.RuntimeOptionsResponse()),
    about: unary(() =>
      new languageProto.AboutResponse().setExecutable(process.execPath).setVersion(process.version),
    ),
    cancel: unary(() => {
      cancellation.abort();
      return new emptyProto.Empty();
    }),
    run: unary(async (request: languageProto.RunRequest) => {
      const response = new languageProto.RunResponse();
      const ended = await runProgram(request, engineAddress, cancellation.signal);
      if (ended === 0) return response;
      // Tells the engine to print nothing more.
      if (ended === EXPLAINED_EXIT) return response.setBail(true);
      return response.setError(`the program ended with ${ended}`);
    }),
  };
}
