import { Readable } from "node:stream";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../../core/errors.ts";
import type { Entry } from "../../../providers/citadel/port.ts";
import type { Note } from "../../logs/follow.ts";
import { MAX_DOWNLOAD } from "../../logs/project-logs.ts";
import { MAX_LIMIT } from "../../logs/time-span.ts";
import { identityOf, refuseExcess } from "../access.ts";
import {
  disconnectIdle,
  EVENT_STREAM,
  frame,
  sendEvents,
  StreamSlots,
  whenClosed,
} from "../event-stream.ts";
import { limiter } from "../limiter.ts";
import type { ServiceLimits, ServiceOptions } from "../options.ts";
import {
  histogramSchema,
  histogramView,
  IN_ORDER,
  isInOrder,
  isNotTooEarly,
  logLineSchema,
  logLineView,
  logQuery,
  NOT_TOO_EARLY,
  spanOf,
  timeQuery,
} from "../schemas/logs.ts";
import { encodeCursor, pageOf, pageQuery } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";
import { slugSchema } from "../schemas/project.ts";

const tags = ["logs"];
const params = z.object({ slug: slugSchema });
const search = { q: logQuery, ...timeQuery };
const searchSchema = z
  .strictObject(search)
  .refine(isInOrder, IN_ORDER)
  .refine(isNotTooEarly, NOT_TOO_EARLY);
const logLimit = z.coerce.number().int().min(1).max(MAX_LIMIT).default(100).meta({
  description: "The maximum number of lines.",
});
const NDJSON = "application/x-ndjson";

/** The logs of a project. Every route finds only those of the environment that the project has in Citadel. */
export function logRoutes(
  { logs, projects }: ServiceOptions,
  limits: ServiceLimits,
  shutdown: AbortSignal,
): FastifyPluginAsyncZod {
  const tails = new StreamSlots(limits.tailsPerKey);
  const downloads = new StreamSlots(limits.downloadsPerKey);

  /** Throws RDEV_NOT_FOUND if the project does not exist, or has no logs. */
  async function logsOf(slug: string) {
    const project = await projects.find(slug);
    if (!project) throw new InfraError("RDEV_NOT_FOUND", `There is no project "${slug}".`);
    const tenant = project.citadelTenantId;
    if (logs && tenant !== null && project.status !== "deleted") return { logs, tenant };
    const reason = logs ? "has no environment in Citadel" : "is on a platform without Citadel";
    throw new InfraError("RDEV_NOT_FOUND", `The project "${slug}" ${reason}, so it has no logs.`);
  }

  return async (app) => {
    const histograms = limiter(
      app,
      limits.histogramsPerMinute,
      ({ identity }) => identity?.id ?? "",
    );

    app.get(
      "/v1/projects/:slug/logs",
      {
        config: { access: "viewer" },
        schema: {
          tags,
          params,
          operationId: "listLogs",
          summary: "Search the log lines of a project, newest first",
          description:
            "A mistake in the query is answered with `RDEV_QUERY`, with its position in `errors`.",
          querystring: z
            .strictObject({ ...search, ...pageQuery("log"), limit: logLimit })
            .refine(isInOrder, IN_ORDER)
            .refine(isNotTooEarly, NOT_TOO_EARLY),
          response: {
            200: pageOf(logLineSchema)
              .extend({
                total: z.int().meta({
                  description: "The lines that match, from the first of this page on.",
                }),
              })
              .meta({ id: "LogPage" }),
            ...problemResponses(400, 404),
          },
        },
      },
      async (request) => {
        const { q, limit, cursor, ...time } = request.query;
        const { logs, tenant } = await logsOf(request.params.slug);
        const [timestamp = "", id = ""] = cursor?.split(" ") ?? [];
        const after = cursor === undefined ? undefined : { timestamp, id };
        const { entries, total } = await logs.page(tenant, q, { ...spanOf(time), limit, after });
        const last = entries.at(-1);
        const hasMore = last !== undefined && total > entries.length;
        return {
          items: entries.map(logLineView),
          total,
          ...(hasMore && { next: encodeCursor("log", `${last.timestamp} ${last.id}`) }),
        };
      },
    );

    app.get(
      "/v1/projects/:slug/logs/tail",
      {
        config: { access: "viewer", streams: true },
        exposeHeadRoute: false,
        schema: {
          tags,
          params,
          operationId: "tailLogs",
          summary: "Follow the log lines of a project",
          description:
            "Server-sent events: first the newest lines that exist, oldest first, then new ones as they " +
            "arrive. Each is an `event: line` with a LogLine as its data and the line's id as its id. " +
            "`event: note` says in `text` that the connection to Citadel was lost, or that lines may be " +
            "missing. A new request with `Last-Event-ID` continues after that line.",
          headers: z.looseObject({
            "last-event-id": z.string().min(1).max(120).optional().meta({
              description: "Only lines after the one with this id.",
            }),
          }),
          querystring: z.strictObject({
            q: logQuery,
            range: timeQuery.range,
            limit: logLimit,
          }),
          response: {
            200: {
              description: "The lines, without an end.",
              content: { [EVENT_STREAM]: { schema: z.string() } },
            },
            ...problemResponses(400, 404),
          },
        },
      },
      async (request, reply) => {
        const { q, range, limit } = request.query;
        const { logs, tenant } = await logsOf(request.params.slug);
        // A mistake in the query is answered before the stream begins.
        await logs.page(tenant, q, { ...spanOf({ range }), limit: 1 });
        const lastEventId = request.headers["last-event-id"];
        const frames = (signal: AbortSignal) =>
          lineFrames(logs.follow(tenant, q, { range, limit, lastEventId, signal }));
        return sendEvents(request, reply, { frames, slots: tails, limits, shutdown }) as never;
      },
    );

    app.get(
      "/v1/projects/:slug/logs/download",
      {
        config: { access: "viewer" },
        exposeHeadRoute: false,
        schema: {
          tags,
          params,
          operationId: "downloadLogs",
          summary: "Download the log lines of a project, oldest first",
          description: `Newline-delimited JSON, a LogLine in each line; at most ${MAX_DOWNLOAD} lines.`,
          querystring: searchSchema,
          response: {
            200: { description: "The lines.", content: { [NDJSON]: { schema: z.string() } } },
            ...problemResponses(400, 404, 413),
          },
        },
      },
      async (request, reply) => {
        const { slug } = request.params;
        const { q, ...time } = request.query;
        const { logs, tenant } = await logsOf(slug);
        const release = downloads.acquire(identityOf(request).id);
        whenClosed(reply, release);
        const lines = await logs.download(tenant, q, spanOf(time));
        reply.header("content-type", NDJSON).header("cache-control", "no-store");
        reply.header("content-disposition", `attachment; filename="${slug}-logs.ndjson"`);
        disconnectIdle(request, reply, limits.idleStreamMs);
        return reply.send(Readable.from(ndjson(lines)) as never);
      },
    );

    app.get(
      "/v1/projects/:slug/logs/histogram",
      {
        config: { access: "viewer" },
        schema: {
          tags,
          params,
          operationId: "countLogs",
          summary: "Count the log lines of a project by time and level",
          querystring: searchSchema,
          response: { 200: histogramSchema, ...problemResponses(400, 404) },
        },
      },
      async (request, reply) => {
        refuseExcess(reply, await histograms.count(request), "for histograms by this caller");
        const { q, ...time } = request.query;
        const { logs, tenant } = await logsOf(request.params.slug);
        return histogramView(await logs.histogram(tenant, q, spanOf(time)));
      },
    );
  };
}

async function* lineFrames(lines: AsyncIterable<Entry | Note>): AsyncGenerator<string> {
  for await (const line of lines) {
    if ("note" in line) yield frame("note", { text: line.note });
    else yield frame("line", logLineView(line), line.id);
  }
}

async function* ndjson(lines: AsyncIterable<Entry>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(logLineView(line))}\n`;
}
