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
export function setVariables(variables: Variables): void {
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

type Variables = Readonly<Record<string, string | undefined>>;

/** The changes of the calls of `withVariables` that run, in the order of their begin. */
const running: Variables[] = [];
/** The variables that they changed, as they were before. */
const original = new Map<string, string | undefined>();

/**
 * Runs `work` with changed environment variables, then restores them. `undefined` unsets one. Calls may
 * be nested, or run at the same time: then the last to begin decides.
 */
export async function withVariables<T>(variables: Variables, work: () => Promise<T>): Promise<T> {
  // A copy, so that two calls with the same object are told apart.
  const own = { ...variables };
  for (const name of Object.keys(own)) {
    if (!original.has(name)) original.set(name, process.env[name]);
  }
  running.push(own);
  setVariables(own);
  try {
    return await work();
  } finally {
    running.splice(running.indexOf(own), 1);
    for (const name of Object.keys(own)) restore(name);
  }
}

function restore(name: string): void {
  const other = running.findLast((each) => name in each);
  setVariables({ [name]: other ? other[name] : original.get(name) });
  if (!other) original.delete(name);
}
