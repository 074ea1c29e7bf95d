import { Refusal } from "./http.ts";

const EXPRESSION = /\$\$|\$\{([^}]*)\}/g;
const VARIABLE = /^(\w+)(?:(?::-|:?=)(.*))?$/s;

/**
 * Replaces `${NAME}` and `${NAME:-default}` before the file is parsed, and `$$` by `$`
 * (pipeline/frontend/metadata/substitution.go). `$NAME` is left to the shell.
 * @throws Refusal 501 for the other operators of a shell, such as `${NAME##pattern}`.
 */
export function substitute(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replaceAll(EXPRESSION, (expression, content: string | undefined) => {
    if (content === undefined) return "$";
    const [, name, byDefault = ""] = VARIABLE.exec(content) ?? [];
    if (name === undefined) {
      throw new Refusal(501, `The stand-in does not support ${expression} in a configuration.`);
    }
    const value = environment[name] ?? "";
    // In quotes, so that a commit message of several lines stays one YAML value.
    return (value.includes("\n") ? JSON.stringify(value) : value) || byDefault;
  });
}
