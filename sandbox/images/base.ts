import { readFile } from "node:fs/promises";
import { InfraError } from "../../core/errors.ts";
import type { Entry } from "./layer.ts";

/** The bundles of certificate authorities: of Debian, and of Fedora and its relatives. */
const BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/** Where programs in an image look for the bundle. */
const BUNDLE_IN_IMAGE = "/etc/ssl/certs/ca-certificates.crt";

const USERS = ["root:x:0:0:root:/root:/sbin/nologin", "nonroot:x:65532:65532::/:/sbin/nologin"];
const GROUPS = ["root:x:0:", "nonroot:x:65532:"];

/**
 * The files that a static program may expect besides itself, like those of gcr.io/distroless/static:
 * users, a folder for temporary files and this machine's certificate authorities.
 * Errors: RDEV_PREREQUISITE if the machine has no certificate authorities.
 */
export async function baseEntries(): Promise<Entry[]> {
  return [
    { path: "/etc/passwd", content: lines(USERS) },
    { path: "/etc/group", content: lines(GROUPS) },
    { path: "/tmp", folder: true, mode: 0o1777 },
    await certificateAuthorities(),
  ];
}

/** This machine's certificate authorities. Errors: RDEV_PREREQUISITE if it has none. */
export async function certificateAuthorities(): Promise<Entry> {
  for (const bundle of BUNDLES) {
    const content = await readFile(bundle).catch(() => undefined);
    if (content) return { path: BUNDLE_IN_IMAGE, content };
  }
  throw new InfraError(
    "RDEV_PREREQUISITE",
    `This machine has no certificate authorities in ${BUNDLES.join(" or ")}. ` +
      "On Debian the package ca-certificates has them.",
  );
}

const lines = (all: readonly string[]) => all.map((line) => `${line}\n`).join("");
