import type { Migration } from "kysely/migration";
import * as projects from "./migrations/001-projects.ts";
import * as citadelTenantId from "./migrations/002-citadel-tenant-id.ts";
import * as audit from "./migrations/003-audit.ts";
import * as operations from "./migrations/004-operations.ts";
import * as apiKeys from "./migrations/005-api-keys.ts";
import * as foundEmpty from "./migrations/006-found-empty.ts";
import * as turns from "./migrations/007-turns.ts";
import * as auditShipped from "./migrations/008-audit-shipped.ts";

/** In order. One that was released is never changed: a later one mends it. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  "001-projects": projects,
  "002-citadel-tenant-id": citadelTenantId,
  "003-audit": audit,
  "004-operations": operations,
  "005-api-keys": apiKeys,
  "006-found-empty": foundEmpty,
  "007-turns": turns,
  "008-audit-shipped": auditShipped,
};
