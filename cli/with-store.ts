import type { Store } from "../automation/store/store.ts";

/** Opens the service's database for one command. DATABASE_URL says where it is. */
export async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  // kysely and pg take a while to load: other commands do without.
  const { Store: Opened } = await import("../automation/store/store.ts");
  const store = new Opened();
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
