import { type DebianFolder, debianFolder, type DebianFolderOptions } from "../debian-folder.ts";
import { entriesOf, type Entry } from "../images/layer.ts";

/** What slim images leave out. */
const LEFT_OUT = /^\/usr\/share\/(doc|info|lintian|locale|man)(\/|$)/;

export interface DebianRoot extends Pick<DebianFolder, "packages"> {
  readonly entries: Entry[];
}

/** The files of Debian packages and of everything that they depend on, for the service's image. */
export async function debianRoot(
  names: readonly string[],
  options: Pick<DebianFolderOptions, "cache" | "report">,
): Promise<DebianRoot> {
  const { root, packages } = await debianFolder(names, { ...options, part: "image" });
  const entries = await entriesOf(root, "/");
  return { entries: entries.filter(({ path }) => !LEFT_OUT.test(path)), packages };
}
