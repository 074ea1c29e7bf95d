import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { entryOf, entryOfAnyone } from "./access.ts";
import { EVENTS, pageOf, Refusal } from "./http.ts";
import type { Store } from "./store.ts";

/** The name of an image: host with port, path, tag and digest. Only the path is required. */
const IMAGE = /^[\w.-]+(?::\d+)?(?:\/[\w.-]+)*(?::[\w-]+)?(?:@sha256:[a-f\d]{64})?$/;

const fieldsSchema = z.object({
  value: z.string().nullish(),
  images: z.array(z.string()).nullish(),
  events: z.array(z.string()).nullish(),
  note: z.string().nullish(),
});
const newSchema = fieldsSchema.extend({ name: z.string().nullish() });

/** The secrets of a repository (server/api/repo_secret.go). No answer contains a value. */
export function secretRoutes(app: FastifyInstance, store: Store): void {
  app.get("/api/repos/:repo_id/secrets", async (request, reply) => {
    const { secrets } = await entryOf(store, request, "push");
    const byName = [...secrets.keys()].sort().flatMap((name) => secrets.get(name)?.secret ?? []);
    const page = pageOf(byName, request);
    // The real server answers `null` for an empty list, because its Go slice is nil.
    return reply.type("application/json").send(JSON.stringify(page.length > 0 ? page : null));
  });

  app.post("/api/repos/:repo_id/secrets", async (request) => {
    const { repo, secrets } = await entryOf(store, request, "push");
    const fields = parse(newSchema, request.body);
    const name = fields.name ?? "";
    const value = fields.value ?? "";
    const events = [...(fields.events ?? [])].sort();
    const images = fields.images ?? null;
    const problem = problemOf({ name, value, events, images });
    if (problem) throw new Refusal(422, `Error inserting secret. ${problem}`);
    if (secrets.has(name)) {
      const reason = "on insert duplicate based on constraints was detected";
      throw new Refusal(500, `Error inserting secret ${JSON.stringify(name)}. ${reason}`);
    }
    const secret = {
      id: store.nextId(),
      org_id: 0,
      repo_id: repo.id,
      name,
      images,
      events,
      note: fields.note ?? "",
    };
    secrets.set(name, { secret, value });
    return secret;
  });

  app.get("/api/repos/:repo_id/secrets/:name", async (request) => {
    return (await secretOf(store, request)).secret;
  });

  app.patch("/api/repos/:repo_id/secrets/:name", async (request) => {
    const fields = parse(fieldsSchema, request.body);
    const kept = await secretOf(store, request);
    const { secret } = kept;
    const next = {
      images: fields.images ?? secret.images,
      events: [...(fields.events ?? secret.events)].sort(),
      note: fields.note ?? secret.note,
    };
    const problem = problemOf({ ...next, name: secret.name, value: kept.value });
    if (problem) throw new Refusal(422, `Error updating secret. ${problem}`);
    Object.assign(secret, next);
    // As in the real server, an empty value keeps the old one.
    if (fields.value) kept.value = fields.value;
    return secret;
  });

  app.delete("/api/repos/:repo_id/secrets/:name", async (request, reply) => {
    const { secret } = await secretOf(store, request);
    entryOfAnyone(store, request).secrets.delete(secret.name);
    return reply.code(204).send();
  });
}

async function secretOf(store: Store, request: FastifyRequest) {
  const { name } = request.params as { name: string };
  const kept = (await entryOf(store, request, "push")).secrets.get(name);
  if (!kept) throw new Refusal(404);
  return kept;
}

/** The refusal names only the fields, because zod's messages may quote values. */
function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => issue.path.join(".") || "body").join(", ");
  throw new Refusal(400, `Error parsing secret. wrong type: ${fields}`);
}

function problemOf(secret: {
  name: string;
  value: string;
  events: string[];
  images: string[] | null;
}): string | undefined {
  const event = secret.events.find((name) => !EVENTS.some((known) => known === name));
  if (event !== undefined) return `invalid webhook event: ${event}\ninvalid secret event`;
  if (secret.events.length === 0) return "invalid secret event: no event specified";
  const image = secret.images?.find((name) => !IMAGE.test(name));
  if (image !== undefined) return `invalid secret image: image '${image}' do not match regexp`;
  if (secret.name === "") return "invalid secret name: empty name";
  if (secret.value === "") return "invalid secret value: empty value";
  return undefined;
}
