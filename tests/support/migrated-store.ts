import { migrate } from "../../automation/store/migrate.ts";
import { Store } from "../../automation/store/store.ts";
import { embeddedStore } from "./embedded-store.ts";

/**
 * A migrated database on a PostgreSQL of its own, for all tests of a suite. After each test the tables
 * of these names are emptied.
 */
export function migratedStore(...tables: readonly string[]) {
  let test: Awaited<ReturnType<typeof embeddedStore>>;
  let store: Store;
  before(async () => {
    test = await embeddedStore();
    await migrate(test);
    store = new Store({ url: test.url });
  });
  after(async () => {
    await store.close();
    await test.close();
  });
  afterEach(() => test.admin(`TRUNCATE ${tables.join(", ")}`));
  return {
    /** Connects as the service's role. */
    store: () => store,
    /** Runs a statement as the administrator of the server. */
    admin: (statement: string) => test.admin(statement),
  };
}
