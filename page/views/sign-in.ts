import { html } from "htm/preact";
import type { TargetedSubmitEvent, VNode } from "preact";
import { useAction } from "../lib/action.ts";
import { call, queryText } from "../lib/api.ts";
import { useLoaded } from "../lib/load.ts";
import { heading, problem } from "../lib/parts.ts";
import { keepPlace, placeOf } from "../lib/place.ts";
import { type Caller, pastedKey } from "../lib/session.ts";

/** How people can sign in, as `/auth/methods` answers. */
interface Methods {
  readonly browser: boolean;
  readonly issuer?: string;
}

export interface SignInProps {
  readonly onSignedIn: (caller: Caller) => void;
}

/** Sign-in at the provider, or with an API key. It is shown in place of a view, and leads back to it. */
export function SignIn({ onSignedIn }: SignInProps): VNode {
  const methods = useLoaded("methods", (signal) =>
    call<Methods>("GET", "/auth/methods", { signal }),
  );
  const { isBusy, error, run } = useAction();
  const signIn = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget).get("key");
    if (typeof key !== "string") return;
    void run(async () => {
      pastedKey.set(key.trim());
      try {
        onSignedIn(await call<Caller>("GET", "/auth/me"));
      } catch (reason) {
        pastedKey.remove();
        throw reason;
      }
    });
  };
  const address = `/auth/sign-in${queryText({ return: placeOf(location) })}`;
  const { data } = methods;
  return html`<main id="main" class="narrow">
    ${heading("Sign in to rdev-infra")} ${problem(methods.error)}
    ${data?.browser && html`<p><a class="button main" href=${address} onClick=${keepPlace}>Sign in at ${hostOf(data.issuer)}</a></p>`}
    <form onSubmit=${signIn} class="stack">
      <label for="key">${data?.browser ? "Or paste an API key" : "API key"}</label>
      <input
        id="key"
        name="key"
        type="password"
        required
        autocomplete="off"
        spellcheck=${false}
        placeholder="rdk_…"
        aria-describedby="key-hint"
      />
      <p id="key-hint" class="hint">
        The key stays in this tab and ends with it. <code>rdev-infra keys create</code> makes one.
      </p>
      ${problem(error)}
      <button class="button" aria-disabled=${isBusy}>Use the key</button>
    </form>
  </main>`;
}

function hostOf(issuer = ""): string {
  return URL.canParse(issuer) ? new URL(issuer).host : "the provider";
}
