/** A file or folder of this machine that a box of bubblewrap shows. */
export interface Mount {
  readonly from: string;
  /** The path in the box. */
  readonly to: string;
  /** @default false */
  readonly writable?: boolean;
  /** Left out if it does not exist. Not for writable ones. @default false */
  readonly optional?: boolean;
}

/** The arguments for a box that ends with its parent, and that sees its own processes and /usr. */
export const OWN_PROCESSES: readonly string[] = [
  ...["--die-with-parent", "--new-session"],
  ...["--proc", "/proc", "--dev", "/dev", "--ro-bind", "/usr", "/usr"],
];

/** The arguments for files and folders of /etc. Those that do not exist are left out. */
export function filesOfEtc(names: readonly string[]): string[] {
  return names.flatMap((name) => ["--ro-bind-try", `/etc/${name}`, `/etc/${name}`]);
}

/** The arguments for mounts. A later one covers an earlier one at the same path. */
export function mountArguments(mounts: readonly Mount[]): string[] {
  return mounts.flatMap(({ from, to, writable, optional }) => {
    const readable = optional ? "--ro-bind-try" : "--ro-bind";
    return [writable ? "--bind" : readable, from, to];
  });
}
