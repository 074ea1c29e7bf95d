/**
 * Sets environment variables for one test (`undefined` unsets one). What they were before is put
 * back after it.
 */
export function testVariables(): (variables: Record<string, string | undefined>) => void {
  let before: NodeJS.ProcessEnv = {};
  const set = (variables: Record<string, string | undefined>) => {
    for (const [name, value] of Object.entries(variables)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  beforeEach(() => void (before = { ...process.env }));
  afterEach(() => set({ ...absent(process.env), ...before }));
  return set;
}

function absent(variables: NodeJS.ProcessEnv): Record<string, undefined> {
  return Object.fromEntries(Object.keys(variables).map((name) => [name, undefined]));
}

/** A variable that the sandbox set. */
export function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: is the sandbox up?`);
  return value;
}
