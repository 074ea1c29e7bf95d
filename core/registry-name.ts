/**
 * Where marks of ownership lie in a registry: a place that no project's account can read or write.
 * A platform's `registry` must not name a path in it.
 */
export const OWN_NAMESPACE = "rdev-infra";

/** The distribution specification's rule for the name of a repository. */
export const REPOSITORY_NAME =
  /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;

/** The host of a platform's `registry`, as `registry.example.com:5000` or `localhost/team` name it. */
export function registryHost(registry: string): string {
  return registry.split("/")[0] ?? "";
}

/** The path in a platform's `registry`, below which the projects' repositories are. */
export function registryPath(registry: string): string | undefined {
  const [, ...path] = registry.replace(/\/+$/, "").split("/");
  return path.length > 0 ? path.join("/") : undefined;
}

/** A project's repository in the registry: `team/my-app`. */
export function repositoryOf(prefix: string | undefined, slug: string): string {
  return prefix === undefined ? slug : `${prefix}/${slug}`;
}
