import fastify, { type FastifyInstance } from "fastify";
import { addMisbehaviour, type Misbehave } from "./misbehave.ts";

/** A stand-in that listens. */
export interface StandIn {
  /** Without a trailing slash. */
  readonly url: string;
  readonly misbehave: Misbehave;
  close(): Promise<void>;
}

/** Creates the server of a stand-in. It does not log, so that it logs no secrets. */
export function createStandIn(options: { bodyLimit?: number } = {}): {
  app: FastifyInstance;
  misbehave: Misbehave;
} {
  const app = fastify({ logger: false, forceCloseConnections: true, ...options });
  acceptEmptyJson(app);
  return { app, misbehave: addMisbehaviour(app) };
}

/** Listens on 127.0.0.1. @param port default: any free port */
export async function listen(app: FastifyInstance, port = 0): Promise<string> {
  return app.listen({ host: "127.0.0.1", port });
}

/** Fastify refuses an empty JSON body; the real servers accept it. */
function acceptEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else void parse(request, body.toString(), done);
  });
}
