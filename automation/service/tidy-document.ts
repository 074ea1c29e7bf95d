type Json = Record<string, unknown>;

const REF = "#/components/schemas/";
const SAFE = new Set<unknown>([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);

/**
 * Makes a generated OpenAPI document one that people read and generators take: only the components
 * that are used, each by its own name, and without keywords that say again what another one says.
 */
export function tidyDocument<T extends object>(document: T): T {
  const tidy = withoutNoise(document) as Json;
  const components = tidy["components"] as Json;
  const schemas = components["schemas"] as Record<string, unknown>;
  const used = usedNames(tidy["paths"], schemas);
  // The form of a request is called …Input, also where there is no other form of it.
  const nameOf = (name: string) => {
    const short = name.replace(/Input$/, "");
    return used.has(short) ? name : short;
  };
  const kept = [...used].sort().map((name) => [nameOf(name), schemas[name]]);
  return renamed(
    { ...tidy, components: { ...components, schemas: Object.fromEntries(kept) as Json } },
    nameOf,
  ) as T;
}

function usedNames(paths: unknown, schemas: Record<string, unknown>): Set<string> {
  const used = new Set<string>();
  const look = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value as Json)) {
      if (key !== "$ref" || typeof inner !== "string") look(inner);
      else if (inner.startsWith(REF)) {
        const name = inner.slice(REF.length);
        if (!used.has(name)) {
          used.add(name);
          look(schemas[name]);
        }
      }
    }
  };
  look(paths);
  return used;
}

function renamed(value: unknown, nameOf: (name: string) => string): unknown {
  return mapped(value, (key, inner) =>
    key === "$ref" && typeof inner === "string" && inner.startsWith(REF)
      ? REF + nameOf(inner.slice(REF.length))
      : renamed(inner, nameOf),
  );
}

function withoutNoise(value: unknown): unknown {
  const { format, type } = (value ?? {}) as Json;
  const isNoise = (key: string, inner: unknown) =>
    (key === "pattern" && (format === "date-time" || format === "uuid")) ||
    ((key === "minimum" || key === "maximum") && type === "integer" && SAFE.has(inner)) ||
    (key === "propertyNames" && type === "object");
  return mapped(value, (key, inner) => (isNoise(key, inner) ? undefined : withoutNoise(inner)));
}

/** With every member as `change` says; undefined leaves it out. */
function mapped(value: unknown, change: (key: string, inner: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((inner, index) => change(String(index), inner));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      const changed = change(key, inner);
      return changed === undefined ? [] : [[key, changed]];
    }),
  );
}
