/**
 * The SDK's gRPC clients of two operations share a connection if their engines use the same port.
 *
 * Reason: grpc-js pools connections by address for the whole process. A program whose engine was
 * killed leaves a connection that keeps failing to reconnect. A later engine that the system gives the
 * same port is then unreachable until that connection's backoff ends.
 * Workaround: each client gets a pool of its own.
 * Upstream: https://github.com/grpc/grpc-node/issues/2853 describes such a reused broken connection.
 * Seen in: @pulumi/pulumi 3.259.0 with @grpc/grpc-js 1.14.7.
 * Remove it when: the contract test in tests/automation/engine/quirks fails.
 */
import * as settings from "@pulumi/pulumi/runtime/settings.js";

/** Affects the clients of all operations that start later in this process. */
export function useOwnConnections(): void {
  // The SDK's types leave the options out, because they are internal.
  const { grpcClientOptions } = settings as unknown as {
    readonly grpcClientOptions: Record<string, unknown>;
  };
  grpcClientOptions["grpc.use_local_subchannel_pool"] = 1;
}
