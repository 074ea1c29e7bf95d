import { writeFile } from "node:fs/promises";
import { apiDocument } from "./document.ts";

/** `npm run openapi`: a test says when the file is not as the code. */
await writeFile(new URL("../../docs/openapi.json", import.meta.url), await apiDocument());
