import { pino } from "pino";
import { Registry } from "prom-client";
import type { ServiceParts } from "./parts.ts";
import { createService } from "./service.ts";

/** The API's document in OpenAPI 3.1, as JSON text. Stands on nothing: no database is needed. */
export async function apiDocument(): Promise<string> {
  const none: unknown = {};
  const parts = { platform: "", metrics: new Registry(), logger: pino({ enabled: false }) };
  const app = await createService({ ...(none as ServiceParts), ...parts });
  await app.ready();
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  return text;
}
