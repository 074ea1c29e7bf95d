import { writeFile } from "node:fs/promises";
import { pino } from "pino";
import { Registry } from "prom-client";
import type { ServiceOptions } from "./options.ts";
import { createService } from "./service.ts";

/** The API's OpenAPI document as JSON text. Needs no database, because no request is answered. */
export async function openApiDocument(): Promise<string> {
  const none: unknown = {};
  const options = { platform: "", metrics: new Registry(), logger: pino({ enabled: false }) };
  const app = await createService({ ...(none as ServiceOptions), ...options });
  await app.ready();
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  return text;
}

// `npm run openapi`. A test compares the file with the code.
if (import.meta.main) {
  await writeFile(new URL("../../docs/openapi.json", import.meta.url), await openApiDocument());
}
