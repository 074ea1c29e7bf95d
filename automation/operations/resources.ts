import { sql } from "kysely";
import { type LastStep, type ProjectResource, resourcesOf } from "../../core/resources.ts";
import type { Store } from "../store/store.ts";
import { OPEN_STATES } from "./tables.ts";

/**
 * How many operations are looked at: an up or a refresh names every resource, so older ones add nothing
 * unless so many in a row ended early.
 */
const OPERATIONS = 10;

const STEPS = ["resourceStarted", "resourceDone", "resourceFailed"];

/** The resources of a project, those with a problem first, from the events of its newest operations. */
export async function projectResources(store: Store, slug: string): Promise<ProjectResource[]> {
  const statement = sql<LastStep>`
    SELECT last.*, error.message AS error FROM (
      SELECT DISTINCT ON (e.event->>'urn')
             o.id AS operation, o.kind, o.state = ANY (${OPEN_STATES}) AS "isOpen", e.at,
             e.event AS step
      FROM (
        SELECT id, kind, state FROM operations
        WHERE slug = ${slug} AND kind IN ('up', 'destroy', 'refresh') AND started_at IS NOT NULL
        ORDER BY id DESC LIMIT ${OPERATIONS}
      ) o JOIN operation_events e ON e.operation_id = o.id
      WHERE e.event->>'event' = ANY (${STEPS})
      ORDER BY e.event->>'urn', o.id DESC, e.number DESC
    ) last LEFT JOIN LATERAL (
      SELECT event->>'message' AS message FROM operation_events
      WHERE last.step->>'event' = 'resourceFailed' AND operation_id = last.operation
        AND event->>'event' = 'diagnostic' AND event->>'severity' = 'error'
        AND event->>'urn' = last.step->>'urn'
      ORDER BY number DESC LIMIT 1
    ) error ON true`;
  const { rows } = await store.run((db) => statement.execute(db));
  return resourcesOf(rows);
}
