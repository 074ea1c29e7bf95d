/**
 * The SDK leaves the gRPC clients of an inline program open after its operation.
 *
 * Reason: `disconnect` closes the clients of the whole process, but an inline program has clients of its
 * own (`settings.monitor` and `settings.engine` of its async context). Each open client has a timer, and
 * the timer keeps the context: the program's resources, outputs and promises. A process with many
 * operations then grows by about 0.5 MiB with each of them.
 * Workaround: an operation closes its program's clients at its end.
 * Upstream: `disconnectSync` in https://github.com/pulumi/pulumi/blob/master/sdk/nodejs/runtime/settings.ts.
 * Seen in: @pulumi/pulumi 3.259.0 with @grpc/grpc-js 1.14.7.
 * Remove it when: the contract test in tests/automation/engine/quirks fails.
 */
import { Client } from "@grpc/grpc-js";
import * as pulumi from "@pulumi/pulumi";

/** The clients of one operation's program. */
export class ProgramClients {
  readonly #clients = new Set<Client>();

  /** Must be called in the program. */
  collect(): void {
    for (const client of [pulumi.runtime.getMonitor(), pulumi.runtime.getEngine()]) {
      if (client instanceof Client) this.#clients.add(client);
    }
  }

  /** Must be called after the engine has ended. Idempotent. */
  close(): void {
    for (const client of this.#clients) {
      client.close();
      // If a closed client refuses a message, the SDK sends no later message of this process either.
      if ("log" in client) client.log = (_request: unknown, done: () => void) => done();
    }
    this.#clients.clear();
  }
}
