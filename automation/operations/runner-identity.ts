/** Which process runs an operation, so that another can tell whether it is still there. */
export interface RunnerIdentity {
  /** A UUID of this one life of the process. */
  readonly id: string;
  readonly host: string;
  /** Within which `pid` means something: a boot of a kernel, and a namespace of processes on it. */
  readonly machine: string;
  readonly pid: number;
  /** When the process began, as its kernel counts: another process may have its number later. */
  readonly begun: string;
}
