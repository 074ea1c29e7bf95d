const ITEM = "rdev-infra place";

/** The service takes no longer one, because it keeps it in a cookie. */
const MAX_LENGTH = 2_000;

/**
 * The address that a sign-in at the provider leads back to. Of a longer one, such as that of a long search,
 * it is the path; `keepPlace` keeps the rest.
 */
export function placeOf({ pathname, search }: Location): string {
  if (pathname === "/sign-in" || pathname.length > MAX_LENGTH) return "/";
  const address = pathname + search;
  return address.length > MAX_LENGTH ? pathname : address;
}

/** Keeps a long address in this tab while the person signs in. */
export function keepPlace(): void {
  const { pathname, search } = location;
  if (search !== "" && placeOf(location) === pathname)
    sessionStorage.setItem(ITEM, pathname + search);
}

/** Shows the address that was kept, if the sign-in has led to its path. */
export function restorePlace(): void {
  const address = sessionStorage.getItem(ITEM);
  sessionStorage.removeItem(ITEM);
  const { pathname, search } = location;
  if (search === "" && address?.startsWith(`${pathname}?`)) history.replaceState(null, "", address);
}
