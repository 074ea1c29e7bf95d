import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { once } from "../../core/once.ts";
import { type Modules, readModules } from "./modules.ts";

const ROOT = join(import.meta.dirname, "../..");
/** In the order in which a browser applies them: a later rule wins. */
const STYLES = ["base", "tables", "projects", "charts", "logs"];
/** All of them in one file, because each file delays the first view. */
const STYLE = "page/style.css";
const ICON = "page/icon.svg";

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  svg: "image/svg+xml",
};

/** A file of the page in the encodings that browsers accept. */
export interface PageFile {
  readonly type: string;
  readonly identity: Buffer;
  readonly br: Buffer;
  readonly gzip: Buffer;
}

export interface Page {
  /** Changes with every file, so that browsers can keep each file forever. */
  readonly version: string;
  /** By path in this repository. */
  readonly files: ReadonlyMap<string, PageFile>;
  /** The document, the same for every view. */
  readonly document: PageFile;
  /** The document's Content-Security-Policy. */
  readonly policy: string;
}

/** The address of the page's files. */
export const ASSETS = "/assets";

/** Reads, strips and compresses the page's files, once in a process. */
export const readPage: () => Promise<Page> = once(async () => {
  const modules = await readModules();
  const texts = new Map(modules.sources);
  const read = (path: string) => readFile(join(ROOT, path), "utf8");
  const styles = await Promise.all(STYLES.map((name) => read(`page/styles/${name}.css`)));
  texts.set(STYLE, styles.join("\n")).set(ICON, await read(ICON));
  const version = hash("sha256", JSON.stringify([...texts])).slice(0, 16);
  const map = importMap(modules, `${ASSETS}/${version}`);
  const files = [...texts].map(async ([path, text]) => [path, await fileOf(path, text)] as const);
  return {
    version,
    files: new Map(await Promise.all(files)),
    document: await fileOf("index.html", documentOf(modules, `${ASSETS}/${version}`, map)),
    policy: policyOf(map),
  };
});

function importMap({ packages }: Modules, base: string): string {
  const imports = [...packages].map(([name, path]) => [name, `${base}/${path}`]);
  return JSON.stringify({ imports: Object.fromEntries(imports) as object });
}

/**
 * The import map comes first: a browser ignores it after the first module. The modules that begin the first
 * requests, and these requests, go before the others: a browser has 6 connections for all of them.
 */
function documentOf({ start, first }: Modules, base: string, map: string): string {
  const preload = (path: string, priority: string) =>
    `<link rel="modulepreload" href="${base}/${path}"${priority}>`;
  const preloads = [
    ...start.map((path) => preload(path, "")),
    ...first.map((path) => preload(path, ` fetchpriority="low"`)),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>rdev-infra</title>
<script type="importmap">${map}</script>
<link rel="icon" href="${base}/${ICON}">
<link rel="stylesheet" href="${base}/${STYLE}">
${preloads.join("\n")}
<script type="module" async src="${base}/page/start.ts"></script>
<script type="module" src="${base}/page/main.ts"></script>
</head>
<body>
<noscript>This page needs JavaScript. The command rdev-infra and the API show the same.</noscript>
<p class="starting">The page is being loaded. If it does not appear, <a href="">load it again</a>.</p>
</body>
</html>
`;
}

/**
 * Nothing from other hosts, no inline script but the import map, and no HTML made of text: a browser
 * refuses `innerHTML` and the like (https://w3c.github.io/trusted-types/dist/spec/).
 */
function policyOf(map: string): string {
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash("sha256", map, "base64")}'`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

async function fileOf(path: string, text: string): Promise<PageFile> {
  const identity = Buffer.from(text);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9 };
  return {
    type: TYPES[path.split(".").at(-1) ?? ""] ?? "text/javascript; charset=utf-8",
    identity,
    br: await promisify(brotliCompress)(identity, { params }),
    gzip: await promisify(gzip)(identity, { level: 9 }),
  };
}
