/** `npm run pictures` takes the pictures of docs/page.md. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { auditLog } from "../../automation/audit/log.ts";
import { type CitadelEvent, LEVELS } from "../../providers/citadel/port.ts";
import { PageStage } from "../support/page.ts";

const FOLDER = join(import.meta.dirname, "../../docs/pictures");
const SCHEMES = ["light", "dark"] as const;
const QUALITY = 0.8;

interface Picture {
  readonly name: string;
  readonly path: string;
  /** Resolves when the view is as the picture should show it. */
  readonly ready: (page: Page) => Promise<unknown>;
}

const PICTURES: readonly Picture[] = [
  {
    name: "projects",
    path: "/",
    ready: (page) => page.getByRole("columnheader", { name: "Errors, 1 h" }).waitFor(),
  },
  {
    name: "logs",
    path: "/logs/shop?q=order",
    async ready(page) {
      await page.getByRole("group", { name: "Lines by level" }).waitFor();
      await page.getByRole("log").locator(".line").nth(5).click();
    },
  },
  {
    name: "fleet",
    path: "/fleet",
    ready: (page) => page.getByRole("figure").last().waitFor(),
  },
];

const stage = await PageStage.open();
try {
  await mkdir(FOLDER, { recursive: true });
  await fill(stage);
  for (const { name, path, ready } of PICTURES) {
    for (const scheme of SCHEMES) {
      const page = await stage.visit(path, { scheme, width: 1200, height: 720 });
      await ready(page);
      const file = `${name}-${scheme}.webp`;
      await writeFile(join(FOLDER, file), await webp(page, await page.screenshot()));
      console.log(file);
    }
  }
} finally {
  await stage.close();
}

/** The browser itself writes WebP, which is a third of a PNG. */
async function webp(page: Page, png: Buffer): Promise<Buffer> {
  const blank = await page.context().newPage();
  const source = JSON.stringify(`data:image/png;base64,${png.toString("base64")}`);
  const address = await blank.evaluate<string>(`(async () => {
    const image = new Image();
    image.src = ${source};
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", ${QUALITY});
  })()`);
  await blank.close();
  return Buffer.from(address.split(",")[1] ?? "", "base64");
}

/** A platform with projects that people have used for a day. */
async function fill(to: PageStage): Promise<void> {
  const tenant = await to.addProject("shop", "Shop");
  for (const slug of ["billing", "blog", "checkout", "search", "status"]) await to.addProject(slug);
  const levels = [2, 2, 2, 3, 2, 1, 2, 2, 4, 2, 0, 2];
  const lines = Array.from({ length: 480 }, (_, at): CitadelEvent => {
    const level = LEVELS[levels[(at * 7) % 12] ?? 2] ?? "info";
    const ago = (480 - at) * 7_400 - (at % 7) * 900;
    return {
      message: level === "error" ? `order ${at}: payment refused` : `order ${at} stored`,
      level,
      timestamp: new Date(Date.now() - ago).toISOString(),
      service: "shop",
      environment: "staging",
      target: "web",
      fields: { path: "/orders", order: at, duration_ms: 20 + ((at * 37) % 400) },
    };
  });
  await to.citadel.ingest(tenant, lines);
  const changed = {
    ...{
      op: "update",
      urn: "urn:pulumi:s::p::Deployment::blog",
      type: "kubernetes:apps/v1:Deployment",
    },
    ...{ name: "blog", properties: [], moreProperties: 0, by: [], since: new Date().toISOString() },
  };
  await to.admin(`
    INSERT INTO drift (slug, checked_at, changes)
    SELECT slug, now() - interval '5 hours',
           CASE slug WHEN 'blog' THEN '[${JSON.stringify(changed)}]'::jsonb ELSE '[]' END
    FROM projects WHERE slug <> 'status'`);
  // An hour has up to 40 operations; one in 12 fails.
  await to.admin(`
    INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor, created_at, started_at,
                            ended_at, remaining)
    SELECT gen_random_uuid(), 'staging', 'shop', 'refresh', '{"kind": "refresh"}', '{}',
           CASE WHEN n % 12 = 5 THEN 'failed' WHEN n % 31 = 7 THEN 'cancelled' ELSE 'succeeded' END,
           'user:alice (7)', t, t, t + (8 + (n * 37) % 30) * interval '1 s', '[]'
    FROM generate_series(1, 460) n,
         LATERAL (SELECT now() - ((n * 7919) % 1440) * interval '1 minute' * (0.4 + 0.6 * (n % 3) / 2)) x(t)`);
  for (const slug of ["shop", "billing", "blog", "checkout", "search", "status"]) {
    const created = { action: "project.create", projectId: slug, actor: "rdev" } as const;
    await auditLog(to.store).record({ ...created, component: "infra", result: "success" });
  }
  // The log is append-only, so only its owner can give the events other times.
  await to.admin(`
    ALTER TABLE audit_log DISABLE TRIGGER USER;
    UPDATE audit_log SET at = now() - (24 - id * 3) * interval '1 hour' WHERE action = 'project.create'`);
}
