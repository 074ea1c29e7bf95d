/** The views of the page: the first part of their paths. The path `/` shows the projects. */
export const PAGE_VIEWS = [
  "projects",
  "create",
  "operations",
  "logs",
  "fleet",
  "audit",
  "sign-in",
] as const;
