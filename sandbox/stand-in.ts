import fastify, { type FastifyInstance } from "fastify";
import { addMisbehaviour, type Misbehave } from "./misbehave.ts";

/** What every stand-in gives back once it listens. */
export interface StandIn {
  /** Without a slash at its end. */
  readonly url: string;
  readonly misbehave: Misbehave;
  close(): Promise<void>;
}

/** A server for a stand-in: it logs nothing, so that nothing secret is logged. */
export function createStandIn(options: { bodyLimit?: number } = {}): {
  app: FastifyInstance;
  misbehave: Misbehave;
} {
  const app = fastify({ logger: false, forceCloseConnections: true, ...options });
  acceptEmptyJson(app);
  return { app, misbehave: addMisbehaviour(app) };
}

/** Listens on this machine only. Port 0 (the default) is any free one. */
export async function listen(app: FastifyInstance, port = 0): Promise<string> {
  return app.listen({ host: "127.0.0.1", port });
}

/** Fastify refuses an empty body that is called JSON; the servers stood in for do not. */
function acceptEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else void parse(request, body.toString(), done);
  });
}
