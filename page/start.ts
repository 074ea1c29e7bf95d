import { begin } from "./lib/api.ts";
import { listParameters, readProjectsQuery } from "./lib/projects-query.ts";

// The document runs this module before the others are there, so that the service answers in the meantime. The list
// waits for the caller's name: a list that is refused to a visitor would be recorded in the audit trail.
const { pathname, search } = location;
const ignore = () => undefined; // the call that takes the answer reports the error
begin("/auth/me").then(({ ok }) => {
  if (!ok || !["/", "/projects"].includes(pathname)) return;
  const query = readProjectsQuery(new URLSearchParams(search));
  begin("/v1/projects", listParameters(query)).catch(ignore);
}, ignore);
