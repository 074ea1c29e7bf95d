import { setTimeout as sleep } from "node:timers/promises";
import type * as k8s from "@kubernetes/client-node";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { kubernetesError, waitBeforeRetry } from "./errors.ts";

/** In ms, for one request. */
const REQUEST_DEADLINE = 30_000;

/** How often a request is repeated after its first failure. */
export const RETRIES = 4;

/** Sends requests as the kubeconfig's user, repeats them, and explains what failed. */
export class Calls {
  readonly library: typeof k8s;
  /** For the library's APIs. */
  readonly configuration: k8s.Configuration;
  readonly #config: k8s.KubeConfig;
  readonly #server: string;
  readonly #secrets: readonly string[];

  private constructor(library: typeof k8s, config: k8s.KubeConfig, server: string) {
    this.library = library;
    this.#config = config;
    this.#server = server;
    this.configuration = library.createConfiguration({
      baseServer: new library.ServerConfiguration(server, {}),
      authMethods: { default: config },
      promiseMiddleware: [
        {
          pre: (request) => {
            request.setSignal(AbortSignal.timeout(REQUEST_DEADLINE));
            return Promise.resolve(request);
          },
          post: (response) => Promise.resolve(response),
        },
      ],
    });
    const user = config.getCurrentUser();
    this.#secrets = [user?.token, user?.password].filter((text) => text !== undefined);
  }

  /** Throws RDEV_CONNECTION if the kubeconfig cannot be read or names no cluster. */
  static async connect(): Promise<Calls> {
    const { kubeconfig } = connection("kubernetes");
    // The library loads slowly, and most previews do not need it.
    const library = await import("@kubernetes/client-node");
    const config = new library.KubeConfig();
    try {
      config.loadFromDefault();
    } catch (error) {
      throw unusable(kubeconfig, (error as NodeJS.ErrnoException).code ?? "it is not a kubeconfig");
    }
    const server = config.getCurrentCluster()?.server;
    if (!server) throw unusable(kubeconfig, "its current context names no cluster");
    return new Calls(library, config, server);
  }

  /**
   * Does `work`, again if the server could not answer. The retry loop is our own because p-retry
   * cannot wait for what a Retry-After header asks.
   */
  async call<T>(
    action: string,
    work: () => Promise<T>,
    { isIdempotent = true }: { isIdempotent?: boolean } = {},
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        const wait = tries > RETRIES ? undefined : waitBeforeRetry(error, isIdempotent, tries);
        if (wait === undefined) {
          throw kubernetesError(error, action, { server: this.#server, secrets: this.#secrets });
        }
        await sleep(wait);
      }
    }
  }

  /** The answer to a request that the library's APIs do not make. Throws for a status outside 2xx. */
  async ask(path: string, body?: object): Promise<{ readonly text: string; readonly date: Date }> {
    const method = (body ? "POST" : "GET") as k8s.HttpMethod;
    return this.call(`${method} ${path}`, async () => {
      const request = this.configuration.baseServer.makeRequestContext(path, method);
      request.setHeaderParam("accept", "application/json");
      if (body) {
        request.setHeaderParam("content-type", "application/json");
        request.setBody(JSON.stringify(body));
      }
      request.setSignal(AbortSignal.timeout(REQUEST_DEADLINE));
      await this.#config.applySecurityAuthentication(request);
      const answer = await this.configuration.httpApi.send(request).toPromise();
      const { httpStatusCode: status, headers } = answer;
      const text = await answer.body.text();
      if (status < 200 || status > 299) {
        throw new this.library.ApiException(status, "", text, headers);
      }
      return { text, date: new Date(headers["date"] ?? Number.NaN) };
    });
  }

  /** A document that the API server publishes as the issuer of ServiceAccounts' tokens. */
  async issuerDocument(
    path: "/.well-known/openid-configuration" | "/openid/v1/jwks",
    signal: AbortSignal,
  ): Promise<unknown> {
    return this.call(`get ${path}`, async () => {
      // Not the library's own call: it refuses the media type application/jwk-set+json.
      const { RequestContext, HttpMethod, IsomorphicFetchHttpLibrary } = this.library;
      const request = new RequestContext(this.#server + path, HttpMethod.GET);
      await this.#config.applySecurityAuthentication(request);
      request.setSignal(signal);
      const answer = await new IsomorphicFetchHttpLibrary().send(request).toPromise();
      const text = await answer.body.text();
      if (answer.httpStatusCode === 200) return JSON.parse(text) as unknown;
      throw new this.library.ApiException(answer.httpStatusCode, text, text, answer.headers);
    });
  }
}

function unusable(kubeconfig: string | undefined, reason: string): InfraError {
  const file = kubeconfig ? `KUBECONFIG (${kubeconfig})` : "The default kubeconfig";
  return new InfraError("RDEV_CONNECTION", `${file} cannot be used: ${reason}.`);
}
