import { readFile } from "node:fs/promises";
import { parse, YAMLParseError } from "yaml";
import { type ErrorCode, InfraError } from "../core/errors.ts";

/** Reads a file of settings. Rejects with `code` if it cannot be read. */
export async function readSettingsFile(file: string, code: ErrorCode): Promise<string> {
  return readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new InfraError(code, `${file} cannot be read: ${cause.code}`, { cause });
  });
}

/** The content of a file in YAML or JSON. Throws `code`, with the line of the mistake. */
export function parseSettings(text: string, file: string | undefined, code: ErrorCode): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    const line = error.linePos?.[0].line;
    throw new InfraError(code, `${file}, line ${line}, is neither YAML nor JSON.`);
  }
}
