import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { ERROR_CODES, type ErrorCode, HTTP_STATUS } from "../../../core/errors.ts";
import { problemResponse } from "../schemas/problem.ts";

const CODES = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

const meaning = z
  .object({ code: z.enum(CODES), title: z.string(), status: z.int() })
  .meta({ id: "ProblemType" });

/** Serves the URLs that a problem's `type` has. */
export const problemRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    "/problems/:code",
    {
      config: { access: "open" },
      schema: {
        tags: ["problems"],
        operationId: "getProblemType",
        security: [],
        summary: "The meaning of a problem's code",
        params: z.object({ code: z.enum(CODES) }),
        response: { 200: meaning, 400: problemResponse("The code is unknown.") },
      },
    },
    async ({ params: { code } }) => ({ code, title: ERROR_CODES[code], status: HTTP_STATUS[code] }),
  );
};
