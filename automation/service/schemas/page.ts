import { z } from "zod";
import { slugProblems } from "../../../core/slug.ts";

export type ListName =
  | "project"
  | "operation"
  | "rollout"
  | "rollout-request"
  | "audit"
  | "notification"
  | "log"
  | "drift";

const isUuid = (id: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);

const IS_VALID: Readonly<Record<ListName, (last: string) => boolean>> = {
  project: (last) => slugProblems(positionOf(last).slug).length === 0,
  drift: (slug) => slugProblems(slug).length === 0,
  operation: isUuid,
  rollout: isUuid,
  "rollout-request": isUuid,
  log: (last) =>
    /^\S{20,40} \S{1,120}$/.test(last) && !Number.isNaN(Date.parse(last.split(" ")[0]!)),
  notification: (last) =>
    isUuid(last.slice(0, 36)) && /^ [a-z][a-z0-9-]{0,39}$/.test(last.slice(36)),
  audit: (id) => /^[1-9]\d{0,14}$/.test(id),
};

/** In a list of projects, the last one is known by its slug, and by its key in an order of their own. */
export function positionText(slug: string, key: string): string {
  return key === slug ? slug : `${slug} ${key}`;
}

export function positionOf(text: string): { readonly slug: string; readonly key: string } {
  const space = text.indexOf(" ");
  if (space < 0) return { slug: text, key: text };
  return { slug: text.slice(0, space), key: text.slice(space + 1) };
}

/** The position after `last`. Opaque, so that the order can change without breaking clients. */
export function encodeCursor(list: ListName, last: string): string {
  return Buffer.from(`${list}:${last}`).toString("base64url");
}

/** Undefined if the cursor is not from this list. */
export function decodeCursor(list: ListName, cursor: string): string | undefined {
  const text = Buffer.from(cursor, "base64url").toString();
  const last = text.slice(list.length + 1);
  return cursor === encodeCursor(list, last) && IS_VALID[list](last) ? last : undefined;
}

export function pageQuery(list: ListName) {
  return {
    limit: z.coerce.number().int().min(1).max(200).default(50).meta({
      description: "The maximum number of items.",
    }),
    cursor: z
      .string()
      .max(500)
      .transform((text, context) => {
        const after = decodeCursor(list, text);
        if (after !== undefined) return after;
        context.addIssue({ code: "custom", message: "is not a cursor of this list" });
        return z.NEVER;
      })
      .optional()
      .meta({ description: "The `next` of the previous page." }),
  };
}

export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    next: z.string().optional().meta({
      description: "The cursor of the next page; absent on the last page.",
    }),
  });
}

/** The page that starts with `found`, which has more than `limit` items if there is another page. */
export function toPage<Row, Item>(
  list: ListName,
  limit: number,
  found: readonly Row[],
  view: (row: Row) => Item,
  idOf: (row: Row) => string,
): { items: Item[]; next?: string } {
  const rows = found.slice(0, limit);
  const hasMore = found.length > limit;
  return {
    items: rows.map(view),
    ...(hasMore && { next: encodeCursor(list, idOf(rows.at(-1)!)) }),
  };
}
