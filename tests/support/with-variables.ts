import { setVariables } from "./variables.ts";

/** Runs `work` with changed environment variables, then restores them. `undefined` unsets one. */
export async function withVariables<T>(
  variables: Readonly<Record<string, string | undefined>>,
  work: () => Promise<T>,
): Promise<T> {
  const names = Object.keys(variables);
  const before = Object.fromEntries(names.map((name) => [name, process.env[name]]));
  setVariables(variables);
  try {
    return await work();
  } finally {
    setVariables(before);
  }
}
