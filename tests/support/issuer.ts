import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import { type AddressInfo } from "node:net";
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from "jose";
import type { IssuerDocuments } from "../../automation/identity/issuer.ts";

interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

/** An OpenID Connect provider on this machine, which signs whatever a test wants. */
export class TestIssuer {
  readonly url: string;
  /** How often its keys were asked for. */
  asked = 0;
  /** Answers every request with this status if it is set. */
  status: number | undefined;
  /** What the token endpoint answers with. */
  idToken = "";
  /** The bodies of the requests for tokens. */
  readonly tokenRequests: URLSearchParams[] = [];
  readonly #server: Server;
  #keys: SigningKey[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request, response) => {
      const send = (body: object, status = 200) =>
        response
          .writeHead(this.status ?? status, { "content-type": "application/json" })
          .end(JSON.stringify(body));
      if (request.url === "/.well-known/openid-configuration") {
        send({
          issuer: this.url,
          jwks_uri: `${this.url}/jwks`,
          authorization_endpoint: `${this.url}/authorize`,
          id_token_signing_alg_values_supported: ["ES256"],
          token_endpoint: `${this.url}/token`,
        });
      } else if (request.url === "/jwks") {
        this.asked += 1;
        send({ keys: this.publicKeys });
      } else if (request.url === "/token") {
        let body = "";
        request.on("data", (data: Buffer) => (body += data.toString()));
        request.on("end", () => {
          this.tokenRequests.push(new URLSearchParams(body));
          send({ access_token: "opaque", token_type: "bearer", id_token: this.idToken });
        });
      } else send({}, 404);
    });
  }

  static async start(): Promise<TestIssuer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const issuer = new TestIssuer(server);
    await issuer.rotate();
    return issuer;
  }

  get publicKeys(): JWK[] {
    return this.#keys.map(({ jwk }) => jwk);
  }

  /** The same documents without HTTP, as an API server publishes them. */
  documents(issuer: string): IssuerDocuments {
    return {
      issuer: async () => {
        this.#failIfDown();
        return issuer;
      },
      keys: async () => {
        this.asked += 1;
        this.#failIfDown();
        return { keys: this.publicKeys };
      },
    };
  }

  #failIfDown(): void {
    if (this.status !== undefined) throw new Error(`it answered with ${this.status}`);
  }

  /** Replaces all keys by a new one. */
  async rotate(): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const kid = randomUUID();
    const jwk = { ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" };
    this.#keys = [{ kid, privateKey, jwk }];
  }

  /** Signs claims. Those that are undefined are left out. Default: valid for an hour. */
  sign(claims: JWTPayload, header: { readonly kid?: string } = {}): Promise<string> {
    const [key] = this.#keys;
    if (!key) throw new Error("it has no key");
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: this.url, iat: now, exp: now + 3_600, ...claims };
    const present = Object.entries(all).filter(([, value]) => value !== undefined);
    return new SignJWT(Object.fromEntries(present))
      .setProtectedHeader({ alg: "ES256", kid: key.kid, ...header })
      .sign(key.privateKey);
  }

  /** Nothing answers at its address any more. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
