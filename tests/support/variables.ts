/**
 * Sets environment variables for one test (`undefined` unsets one), and restores them afterwards.
 */
export function testVariables(): (variables: Record<string, string | undefined>) => void {
  let before: NodeJS.ProcessEnv = {};
  beforeEach(() => void (before = { ...process.env }));
  afterEach(() => setVariables({ ...absent(process.env), ...before }));
  return setVariables;
}

function absent(variables: NodeJS.ProcessEnv): Record<string, undefined> {
  return Object.fromEntries(Object.keys(variables).map((name) => [name, undefined]));
}

/** `undefined` unsets a variable. */
export function setVariables(variables: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

/** A variable that the sandbox set. */
export function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: is the sandbox up?`);
  return value;
}

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
