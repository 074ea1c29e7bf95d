import { readFile } from "node:fs/promises";

export const rightsFile = (file: string): Promise<string> =>
  readFile(new URL(`../../deploy/rights/${file}`, import.meta.url), "utf8");

/**
 * The statements of an SQL file in deploy/rights, one by one: CREATE DATABASE cannot be in a transaction.
 * The roles and the database are named `least_…`, because the sandbox has some with the file's names.
 */
export async function rightsStatements(file: string): Promise<string[]> {
  const lines = (await rightsFile(file)).split("\n").filter((line) => !line.startsWith("--"));
  return lines
    .join("\n")
    .replaceAll(/\brdev_(\w+)/g, "least_$1")
    .split(";")
    .map((each) => each.trim())
    .filter(Boolean);
}
