/** Paths to a property, as Pulumi's engine writes them: `spec.containers[0].image`, `labels["a.b/c"]`. */
export type Path = readonly (string | number)[];

export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    if (!/^[A-Za-z_$][\w$-]*$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === "" ? part : `${text}.${part}`;
  }, "");
}

/** Reads a path; `[*]` becomes the name `*`. Throws where the text is no path. */
export function parsePath(text: string): Path {
  const part = /\.?([^.[\]"]+)|\[(\d+)\]|\[\*\]|\[("(?:[^"\\]|\\.)*")\]/y;
  const path: (string | number)[] = [];
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (match === null) throw new Error(`"${text}" is not a property path`);
    const [, name, index, quoted] = match;
    if (name !== undefined) path.push(name);
    else if (index !== undefined) path.push(Number(index));
    else path.push(quoted === undefined ? "*" : (JSON.parse(quoted) as string));
  }
  return path;
}
