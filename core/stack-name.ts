import { InfraError, problems } from "./errors.ts";
import { slugProblems } from "./slug.ts";

/** Which program a stack runs. Its name alone says so. */
export type StackName =
  | { readonly kind: "platform"; readonly platform: string }
  | { readonly kind: "project"; readonly platform: string; readonly slug: string };

const PLATFORM = /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/;

/** `staging` is a platform, `staging.my-app` a project on it. Throws RDEV_STACK_NAME. */
export function parseStackName(name: string): StackName {
  const [platform = "", slug, ...rest] = name.split(".");
  if (rest.length > 0 || !PLATFORM.test(platform)) {
    throw new InfraError(
      "RDEV_STACK_NAME",
      `"${name}" is no stack name. A platform's stack is named like "staging", ` +
        `a project's like "staging.my-app" (<platform>.<slug>).`,
    );
  }
  if (slug === undefined) return { kind: "platform", platform };
  const found = slugProblems(slug);
  if (found.length > 0) {
    throw problems("RDEV_STACK_NAME", `In the stack name "${name}", "${slug}" is no slug:`, found);
  }
  return { kind: "project", platform, slug };
}

export function projectStackName(platform: string, slug: string): string {
  return `${platform}.${slug}`;
}
