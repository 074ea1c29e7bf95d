// The other end of this pipe is held by the service's process alone: the kernel closes it when that
// process ends, in whatever way. Then its PostgreSQL ends as well: SIGINT is its fast shutdown.
const postmaster = Number(process.argv[2]);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
process.stdin.resume().once("end", () => {
  try {
    process.kill(postmaster, "SIGINT");
  } catch {
    // it has ended by itself
  }
});
