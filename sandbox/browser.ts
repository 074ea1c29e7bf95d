import { hash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LaunchOptions } from "playwright-core";
import { InfraError } from "../core/errors.ts";
import type { Report } from "./context.ts";
import { debianFolder } from "./debian-folder.ts";
import { withLock } from "./lock.ts";
import { requireCommand } from "./process.ts";
import { cacheFolder, withProgress } from "./tools.ts";

/**
 * Chromium without a window, a font, and another one for signs such as ✕. The browser's version is the newest of this machine's Debian, because
 * Debian removes the packages of a version that a security update replaces, so no version can be pinned.
 */
const PACKAGES = ["chromium-headless-shell", "fonts-liberation", "fonts-dejavu-core"];
/** The machine has its own C library; the other two start a person's desktop programs (200 MB). */
const LEFT_OUT = ["libc6", "xdg-utils", "x11-utils"];
const PROGRAM = "usr/lib/chromium/chromium-headless-shell";
const LIBRARIES = ["", "pulseaudio"].flatMap((folder) =>
  ["lib", "usr/lib"].map((parent) => join(parent, "x86_64-linux-gnu", folder)),
);

/** Only the fonts of the folder, so that pictures look the same on every machine. */
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">../../usr/share/fonts</dir>
  <cachedir prefix="relative">../../var/cache/fontconfig</cachedir>
  <match>
    <test name="family"><string>monospace</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Liberation Mono</string></edit>
  </match>
  <match>
    <edit name="family" mode="append" binding="same"><string>Liberation Sans</string></edit>
  </match>
</fontconfig>
`;

/**
 * Puts Chromium into the cache, if it is not there, and returns how Playwright starts it. A browser that
 * is in the cache stays until the cache is deleted. Needs Debian on x86-64.
 * Errors: RDEV_PREREQUISITE.
 */
export async function provideBrowser({
  report,
  cache = join(cacheFolder(), "browser"),
}: {
  readonly report: Report;
  readonly cache?: string;
}): Promise<LaunchOptions> {
  const wanted = hash("sha256", JSON.stringify([PACKAGES, LEFT_OUT, FONTS])).slice(0, 12);
  const current = join(cache, `current-${wanted}`);
  await mkdir(cache, { recursive: true });
  if (!existsSync(current)) {
    if (process.arch !== "x64") {
      throw new InfraError("RDEV_PREREQUISITE", `no browser is prepared for ${process.arch}.`);
    }
    await requireCommand("dpkg-deb");
    await withLock(
      `${current}.lock`,
      () => (existsSync(current) ? Promise.resolve() : prepare(cache, current, report)),
      () => report("browser", "waiting for another process that downloads it"),
    );
  }
  const root = await readFile(current, "utf8");
  const libraries = LIBRARIES.map((folder) => join(root, folder)).join(":");
  return {
    executablePath: join(root, PROGRAM),
    env: {
      ...process.env,
      LD_LIBRARY_PATH: libraries,
      FONTCONFIG_FILE: join(root, "etc/fonts/fonts.conf"),
    },
    // Chromium refuses to run as root with its sandbox. The tests open only pages of this repository.
    chromiumSandbox: process.getuid?.() !== 0,
  };
}

async function prepare(cache: string, current: string, report: Report): Promise<void> {
  let version = "";
  const time = await withProgress(report, "browser", "preparing Chromium", async () => {
    const { root, packages } = await debianFolder(PACKAGES, {
      cache,
      part: "browser",
      report,
      leftOut: LEFT_OUT,
    });
    version = packages.find((each) => each.startsWith(`${PACKAGES[0]} `)) ?? "";
    await mkdir(join(root, "etc/fonts"), { recursive: true });
    await writeFile(join(root, "etc/fonts/fonts.conf"), FONTS);
    await writeFile(`${current}.draft`, root);
    await rename(`${current}.draft`, current);
  });
  report("browser", `${version}, ready in ${time}`);
}
