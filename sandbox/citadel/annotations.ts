import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Database } from "./database.ts";
import { CitadelError, parseBody } from "./errors.ts";
import type { Events } from "./events.ts";

const newAnnotation = z.object({
  log_id: z.string(),
  content: z.string().trim().min(1).max(10_000),
  annotation_type: z.string().min(1).max(64),
  author_type: z.string().min(1).max(64),
});

/** Notes on log entries. */
export function annotationRoutes(app: FastifyInstance, database: Database, events: Events): void {
  app.post("/api/v1/annotations", async (request, reply) => {
    const wanted = parseBody(newAnnotation, request.body, 422);
    if (!events.has(wanted.log_id)) throw new CitadelError(404, `no log entry ${wanted.log_id}`);
    const annotation = { id: randomUUID(), ...wanted, created_at: new Date().toISOString() };
    const { id, log_id, content, annotation_type, author_type, created_at } = annotation;
    database.run(
      `INSERT INTO annotations (id, event, content, annotation_type, author_type, created_at)
       VALUES (?, ?, ?, ?, ?, ?)`,
      [id, Number(log_id), content, annotation_type, author_type, created_at],
    );
    return reply.code(201).send(annotation);
  });
}
