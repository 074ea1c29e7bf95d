/** `gitea:Repository` for `pulumi-nodejs:dynamic/gitea:Repository`. */
export function typeText(type: string): string {
  const [provider = "", ...rest] = type.replace(/^pulumi-nodejs:dynamic\//, "").split(":");
  const kind = rest.at(-1);
  return kind === undefined ? provider : `${provider}:${kind}`;
}
