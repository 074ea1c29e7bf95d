import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { InfraError } from "../../../core/errors.ts";
import { PAGE_VIEWS } from "../../../core/page-views.ts";
import { ASSETS, type PageFile, readPage } from "../../page/page.ts";

/** In seconds. An address with a version never changes its content. */
const FOREVER = 365 * 24 * 3_600;

/**
 * Serves the page of `page/`. It is the same for everybody and holds no data: it asks the API, as a
 * script would.
 */
export const pageRoutes: FastifyPluginAsync = async (app) => {
  // The first visitor does not wait for the compression.
  app.addHook("onListen", async () => void (await readPage()));

  const open = { config: { access: "open" }, schema: { hide: true } } as const;
  const paths = PAGE_VIEWS.flatMap((view) => [`/${view}`, `/${view}/*`]);
  for (const path of ["/", ...paths]) {
    app.get(path, open, async (request, reply) => {
      const { document, policy, version } = await readPage();
      const tag = `"${version}"`;
      reply.headers({
        "cache-control": "no-cache",
        etag: tag,
        "content-security-policy": policy,
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "same-origin",
      });
      if (request.headers["if-none-match"] === tag) return reply.code(304).send();
      return sendFile(request, reply, document);
    });
  }

  app.get<{ Params: { version: string; "*": string } }>(
    `${ASSETS}/:version/*`,
    open,
    async (request, reply) => {
      const { version, files } = await readPage();
      const { version: wanted, "*": path } = request.params;
      const file = files.get(path);
      // Files of another version of the service would not fit those that the browser has.
      if (!file || wanted !== version) {
        throw new InfraError("RDEV_NOT_FOUND", "The page has no such file. Load the page again.");
      }
      reply.header("cache-control", `public, max-age=${FOREVER}, immutable`);
      return sendFile(request, reply, file);
    },
  );
};

function sendFile({ headers }: FastifyRequest, reply: FastifyReply, file: PageFile): FastifyReply {
  const accepted = headers["accept-encoding"] ?? "";
  const encoding = (["br", "gzip"] as const).find((one) =>
    new RegExp(`\\b${one}\\b`).test(accepted),
  );
  reply.header("vary", "accept-encoding").type(file.type);
  if (encoding) reply.header("content-encoding", encoding);
  return reply.send(file[encoding ?? "identity"]);
}
