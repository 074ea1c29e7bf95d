import * as settings from "@pulumi/pulumi/runtime/settings.js";

/**
 * Gives each run connections of its own. gRPC shares them by address within a process, also those to
 * an engine that has ended before its program: they try again for ever, and the next engine that is
 * given the same port could not be reached. The options are the SDK's own, and not in its types.
 */
export function useOwnConnections(): void {
  const { grpcClientOptions } = settings as unknown as {
    readonly grpcClientOptions: Record<string, unknown>;
  };
  grpcClientOptions["grpc.use_local_subchannel_pool"] = 1;
}
