import { useEffect, useState } from "preact/hooks";
import { PAGE_VIEWS } from "../../core/page-views.ts";

/** The path and the query of the address. */
export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

const views: ReadonlySet<string> = new Set(["", ...PAGE_VIEWS]);
const listeners = new Set<() => void>();

function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

/** The place that the address names. The component is drawn again when it changes. */
export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const update = () => setPlace(here());
    listeners.add(update);
    addEventListener("popstate", update);
    update(); // a person can be quicker than this effect
    return () => {
      listeners.delete(update);
      removeEventListener("popstate", update);
    };
  }, []);
  return place;
}

/** Goes to a view. With `replace`, "back" does not return to the one before. */
export function go(address: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  for (const listener of listeners) listener();
}

/** Follows links to views without loading the page again. Other links are left to the browser. */
export function followLinks(): void {
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest("a[href]");
    if (!(link instanceof HTMLAnchorElement) || link.target !== "" || link.download !== "") return;
    if (event.defaultPrevented || event.button !== 0 || hasModifier(event)) return;
    if (link.origin !== location.origin) return;
    const { pathname, search, hash } = new URL(link.href);
    if (hash !== "" && pathname === location.pathname) return;
    if (!views.has(pathname.split("/")[1] ?? "")) return;
    event.preventDefault();
    go(pathname + search);
  });
}

function hasModifier({ metaKey, ctrlKey, shiftKey, altKey }: MouseEvent): boolean {
  return metaKey || ctrlKey || shiftKey || altKey;
}
