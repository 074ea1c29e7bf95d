/** The platform's own environment in Citadel, and the tenant groups, by the user's plan. */
export const PLATFORM_ENVIRONMENT = "rdev-platform";
export const PLATFORM_GROUP = "platform";
export const PROJECTS_GROUP = "projects";
