import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { ceilingOf, SIZE_NAMES } from "../../../core/size-rules.ts";
import { sizes } from "../../../core/sizes.ts";
import type { ServiceOptions } from "../options.ts";
import { problemResponses } from "../schemas/problem.ts";
import { sizeLimits } from "../schemas/sizes.ts";

export function sizeRoutes(options: ServiceOptions): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/v1/sizes",
      {
        config: { access: "viewer" },
        schema: {
          tags: ["projects"],
          operationId: "getSizes",
          summary: "Get the sizes that a new project has, and the highest that it may have",
          description: "From the settings of the platform's last `up`, at most a minute old.",
          response: { 200: sizeLimits, ...problemResponses(409) },
        },
      },
      async () => {
        const platform = await options.sizes();
        const ceilings = SIZE_NAMES.map((size) => [size, ceilingOf(size, platform)]);
        return {
          defaults: platform.sizes,
          ceilings: sizes.parse(Object.fromEntries(ceilings)),
        };
      },
    );
  };
}
