import { InvalidArgumentError } from "commander";

export type ConfigOption = Readonly<Record<string, string | object>>;

/** `--config key=value`, repeatable. A value that is a JSON object or list is taken as one. */
export function collectConfig(text: string, sofar: ConfigOption = {}): ConfigOption {
  const [, key, value] = /^([A-Za-z][A-Za-z0-9]*)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new InvalidArgumentError(
      "It is not of the form key=value, as name=Shop or sizes='{\"replicas\":2}'.",
    );
  }
  return { ...sofar, [key]: structured(value) };
}

function structured(value: string): string | object {
  if (!/^\s*[{[]/.test(value)) return value;
  try {
    return JSON.parse(value) as object;
  } catch {
    throw new InvalidArgumentError("It begins like JSON, but is none.");
  }
}
