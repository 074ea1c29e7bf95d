import { ApiException } from "@kubernetes/client-node";

/** The API server's message for a refused call. Throws if the call was not refused. */
export async function refused(call: Promise<unknown>): Promise<string> {
  const answer = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (answer === undefined) throw new Error("the server did not refuse it");
  if (!(answer instanceof ApiException)) throw answer as Error;
  const body: unknown = answer.body;
  const status = typeof body === "string" ? (JSON.parse(body) as unknown) : body;
  return (status as { message?: string }).message ?? "";
}
