/**
 * The parts of a path that a pattern such as `/projects/:slug` names; undefined if it does not fit. A part
 * is a slug or an id. Any other text, such as `..%2f`, could lead a call to another address of the API.
 */
export function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const parts = path.split("/");
  if (wanted.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = parts[index] ?? "";
    if (!part.startsWith(":")) {
      if (part !== value) return undefined;
    } else {
      if (!/^[\w-]+$/.test(value)) return undefined;
      params[part.slice(1)] = value;
    }
  }
  return params;
}
