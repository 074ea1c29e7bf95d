import { InfraError, problems } from "./errors.ts";
import { slugProblems } from "./slug.ts";

/** A stack's name alone decides which of the two programs it runs. */
export type StackName =
  | { readonly kind: "platform"; readonly platform: string }
  | { readonly kind: "project"; readonly platform: string; readonly slug: string };

export const PLATFORM_NAME = /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/;

/** `staging` is a platform, `staging.my-app` a project on it. Throws RDEV_STACK_NAME. */
export function parseStackName(name: string): StackName {
  const [platform = "", slug, ...rest] = name.split(".");
  if (rest.length > 0 || !PLATFORM_NAME.test(platform)) {
    throw new InfraError(
      "RDEV_STACK_NAME",
      `"${name}" is not a stack name. A platform's stack has a name like "staging", ` +
        `a project's stack like "staging.my-app" (<platform>.<slug>).`,
    );
  }
  if (slug === undefined) return { kind: "platform", platform };
  const found = slugProblems(slug);
  if (found.length > 0) {
    const head = `In the stack name "${name}", "${slug}" is not a valid slug:`;
    throw problems("RDEV_STACK_NAME", head, found);
  }
  return { kind: "project", platform, slug };
}

export function projectStackName(platform: string, slug: string): string {
  return `${platform}.${slug}`;
}
