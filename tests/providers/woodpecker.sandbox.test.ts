import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { request } from "undici";
import { provider as pipelines } from "../../providers/woodpecker/pipeline.ts";
import { provider as credentials } from "../../providers/woodpecker/registry-credentials.ts";
import { provider as repositories } from "../../providers/woodpecker/repository.ts";
import { provider as secrets } from "../../providers/woodpecker/secret.ts";
import { startWoodpecker } from "../../sandbox/woodpecker/server.ts";
import { itMeetsFaults } from "../support/faults.ts";
import { type FaultyProxy, startFaultyProxy } from "../support/faulty-proxy.ts";
import { rejected } from "../support/errors.ts";
import { testVariables, variable } from "../support/variables.ts";
import { markText, type Owner } from "../../core/ownership.ts";
import { testOwner } from "../support/owner.ts";

type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

interface LiveSecret {
  readonly name: string;
  readonly events: readonly string[];
  readonly note: string;
}

const owner = testOwner("my-app");
const MARK = markText(owner);
const CONFIG = `when: {event: [push, manual]}
steps:
  - {name: test, image: alpine, commands: [echo tested]}
`;

describe("providers/woodpecker", () => {
  const set = testVariables();
  const organization = `t${randomBytes(4).toString("hex")}`;
  const made: string[] = [];
  /** Calls Woodpecker directly, past the proxies that tests use. */
  let woodpecker: (method: Method, path: string, json?: object) => Promise<unknown>;
  let proxy: FaultyProxy;
  /** A new repository on Gitea for each test. */
  let forgeRemoteId: number;
  let fullName: string;

  before(async () => {
    const [url, token] = [variable("WOODPECKER_URL"), variable("WOODPECKER_TOKEN")];
    woodpecker = (method, path, json) => call(method, `${url}/api${path}`, `Bearer ${token}`, json);
    await gitea("POST", "/orgs", { username: organization });
  });
  after(async () => {
    for (const name of made) await gitea("DELETE", `/repos/${name}`);
    await gitea("DELETE", `/orgs/${organization}`);
  });
  beforeEach(async () => {
    proxy = await startFaultyProxy(variable("WOODPECKER_URL"));
    ({ id: forgeRemoteId, full_name: fullName } = await forgeRepository());
  });
  afterEach(() => proxy.close());

  async function forgeRepository(options: { readonly auto_init?: boolean } = {}) {
    const name = `r${made.length}`;
    const path = `/orgs/${organization}/repos`;
    const repository = (await gitea("POST", path, { name, ...options })) as {
      id: number;
      full_name: string;
    };
    made.push(repository.full_name);
    return repository;
  }
  const inputs = () => ({ fullName, forgeRemoteId });
  const activated = async () => Number((await repositories.create(inputs())).id);
  const live = () => woodpecker("GET", `/repos/lookup/${fullName}`) as Promise<{ active: boolean }>;
  const viaProxy = () => set({ WOODPECKER_URL: proxy.url });
  const posts = () => proxy.requests.filter((text) => text.startsWith("POST")).length;

  describe("woodpecker:Repository", () => {
    it("activates a repository of Gitea", async () => {
      const { id, outs } = await repositories.create(inputs());
      const url = `${variable("WOODPECKER_URL")}/repos/${id}`;
      assert.deepEqual(outs, { ...inputs(), repositoryId: Number(id), url });
      assert.equal((await live()).active, true);
      assert.deepEqual((await repositories.read(id, outs)).props, outs);
    });

    it("adopts a repository that is already active", async () => {
      const { id } = await repositories.create(inputs());
      assert.equal((await repositories.create(inputs())).id, id);
    });

    it("refuses a repository with the name that is another one on Gitea", async () => {
      await activated();
      const other = repositories.create({ ...inputs(), forgeRemoteId: forgeRemoteId + 10_000 });
      await rejected(other, /^RDEV_NOT_OURS: /);
      assert.equal((await live()).active, true);
    });

    it("counts a repository that was deactivated by hand as gone, and activates it again", async () => {
      const { id, outs } = await repositories.create(inputs());
      await woodpecker("DELETE", `/repos/${id}`);
      assert.equal((await repositories.read(id, outs)).id, "");
      assert.equal((await repositories.create(inputs())).id, id);
      assert.equal((await live()).active, true);
    });

    it("removes it, also twice", async () => {
      const { id, outs } = await repositories.create(inputs());
      await repositories.delete(id, outs);
      await rejected(live(), /404/);
      assert.equal((await repositories.read(id, outs)).id, "");
      await repositories.delete(id, outs);
    });

    it("adopts on the next try an object whose create lost its answer", async () => {
      viaProxy();
      proxy.loseAnswers("POST");
      await rejected(repositories.create(inputs()), /^RDEV_UNREACHABLE: /);
      assert.equal(posts(), 1);
      await repositories.create(inputs());
      assert.equal(posts(), 1);
    });

    it("does not retry a request that may have had an effect", async () => {
      viaProxy();
      proxy.misbehave({ match: { method: "POST" }, status: 502, times: 1 });
      await rejected(repositories.create(inputs()), /^RDEV_UNREACHABLE: .* 502/);
      assert.equal(posts(), 1);
    });

    it("retries a request that was refused with 429", async () => {
      viaProxy();
      const headers = { "retry-after": "0" };
      proxy.misbehave({ match: { method: "POST" }, status: 429, headers, times: 1 });
      await repositories.create(inputs());
      assert.equal(posts(), 2);
    });

    it("repeats Woodpecker's error message", async () => {
      const missing = { ...inputs(), fullName: `${organization}/none`, forgeRemoteId: 987_654 };
      await rejected(repositories.create(missing), /Could not fetch repository from forge/);
    });
  });

  describe("woodpecker:Secret", () => {
    const value = `secret-${randomBytes(8).toString("hex")}`;
    let repositoryId: number;
    let secret: Record<string, unknown>;
    const named = (name: string) =>
      woodpecker("GET", `/repos/${repositoryId}/secrets/${name}`) as Promise<LiveSecret>;
    const byHand = (name: string) =>
      woodpecker("POST", `/repos/${repositoryId}/secrets`, {
        name,
        value: "by-hand",
        events: ["pull_request"],
      });

    beforeEach(async () => {
      repositoryId = await activated();
      const news = { repositoryId, name: "kube_token", value, owner };
      secret = (await secrets.check({}, news)).inputs;
    });

    it("sets a secret with its mark, and never for pull requests", async () => {
      const { id, outs } = await secrets.create(secret);
      assert.equal(id, `${repositoryId}/kube_token`);
      const { events, note } = await named("kube_token");
      assert.deepEqual(events, ["deployment", "manual", "push", "tag"]);
      assert.equal(note, MARK);
      assert.deepEqual((await secrets.read(id, outs)).props, outs);
    });

    it("adopts its own secret, and refuses one made by hand", async () => {
      await secrets.create(secret);
      await secrets.create(secret);
      await byHand("other");
      await rejected(secrets.create({ ...secret, name: "other" }), /^RDEV_NOT_OURS: /);
      assert.deepEqual((await named("other")).events, ["pull_request"]);
    });

    it("changes the secret in place", async () => {
      const { id, outs } = await secrets.create(secret);
      await secrets.update(id, outs, { ...secret, value: "new", events: ["push"] });
      assert.deepEqual((await named("kube_token")).events, ["push"]);
    });

    it("notices that it was opened to pull requests, replaced or removed", async () => {
      const { id, outs } = await secrets.create(secret);
      const path = `/repos/${repositoryId}/secrets/kube_token`;
      await woodpecker("PATCH", path, { events: ["push", "pull_request"] });
      const { props } = await secrets.read(id, outs);
      assert.deepEqual(props?.events, ["pull_request", "push"]);
      await woodpecker("DELETE", path);
      assert.equal((await secrets.read(id, outs)).id, "");
      await byHand("kube_token");
      const replaced = await secrets.read(id, outs);
      assert.equal((await secrets.diff(id, replaced.props ?? {}, outs)).changes, true);
      await secrets.delete(id, outs);
      assert.equal((await named("kube_token")).note, "");
    });

    it("deletes it, also twice and without the repository", async () => {
      const { id, outs } = await secrets.create(secret);
      await secrets.delete(id, outs);
      await rejected(named("kube_token"), /404/);
      await secrets.delete(id, outs);
      await woodpecker("DELETE", `/repos/${repositoryId}?remove=true`);
      await secrets.delete(id, outs);
    });

    it("reports id and inputs to the engine if it fails half way, without the value", async () => {
      viaProxy();
      proxy.misbehave({ match: { method: "PATCH" }, status: 500, body: `bad value ${value}` });
      const { id, properties, message } = await rejected(
        secrets.create(secret),
        /^RDEV_UNREACHABLE: .* 500: bad value \[secret\]/,
      );
      assert.equal(id, `${repositoryId}/kube_token`);
      assert.deepEqual(properties, secret);
      assert.doesNotMatch(message, new RegExp(value));
    });

    it("reports on update that it is gone", async () => {
      const { id, outs } = await secrets.create(secret);
      await woodpecker("DELETE", `/repos/${repositoryId}/secrets/kube_token`);
      await rejected(secrets.update(id, outs, { ...secret, value: "new" }), /^RDEV_GONE: /);
    });
  });

  describe("woodpecker:RegistryCredentials", () => {
    let repositoryId: number;
    let account: { repositoryId: number; credentialsVersion: number; owner: Owner };
    const path = (name = "") => `/repos/${repositoryId}/secrets${name && `/${name}`}`;
    const all = async () => ((await woodpecker("GET", path())) as LiveSecret[] | null) ?? [];
    const names = async () => (await all()).map(({ name }) => name);
    const both = ["registry_password", "registry_username"];

    beforeEach(async () => {
      repositoryId = await activated();
      account = { repositoryId, credentialsVersion: 1, owner };
      set({ REGISTRY_CI_USERNAME: "ci", REGISTRY_CI_PASSWORD: "ci-password-of-the-tests" });
    });

    it("sets both secrets to the project's own account, and again if that changes", async () => {
      const own = { username: "staging.my-app.push.1", password: "planted-one" };
      const { id, outs } = await credentials.create({ ...account, account: own });
      assert.deepEqual(await names(), both);
      viaProxy();
      const renewed = { ...account, account: { ...own, password: "planted-two" } };
      assert.equal((await credentials.diff(id, outs, renewed)).changes, true);
      await credentials.update(id, outs, renewed);
      const written = proxy.requests.filter((text) => text.startsWith("PATCH"));
      assert.equal(written.length, 2);
      // A project of an earlier version, whose pipeline has the shared account.
      const shared = await credentials.diff(id, account, renewed);
      assert.deepEqual([shared.changes, shared.replaces], [true, []]);
    });

    it("sets both secrets from the connection, and stores neither in the state", async () => {
      const { id, outs } = await credentials.create(account);
      assert.deepEqual(await names(), both);
      for (const { note, events } of await all()) {
        assert.equal(note, MARK);
        assert.ok(!events.some((event) => event.startsWith("pull_request")));
      }
      assert.deepEqual(outs, account);
      assert.deepEqual((await credentials.read(id, outs)).props, account);
    });

    it("writes both again if the version is raised", async () => {
      const { id, outs } = await credentials.create(account);
      const raised = { ...account, credentialsVersion: 2 };
      assert.equal((await credentials.diff(id, outs, raised)).changes, true);
      viaProxy();
      await credentials.update(id, outs, raised);
      assert.equal(proxy.requests.filter((text) => text.startsWith("PATCH")).length, 2);
    });

    it("notices that one of them is missing, and creates it again", async () => {
      const { id, outs } = await credentials.create(account);
      await woodpecker("DELETE", path("registry_password"));
      const { props } = await credentials.read(id, outs);
      assert.equal((await credentials.diff(id, props, account)).changes, true);
      await credentials.update(id, props, account);
      assert.deepEqual(await names(), both);
      for (const name of both) await woodpecker("DELETE", path(name));
      assert.equal((await credentials.read(id, outs)).id, "");
    });

    it("finishes a create that failed half way", async () => {
      viaProxy();
      proxy.loseAnswers("POST");
      const { id, properties } = await rejected(credentials.create(account), /^RDEV_UNREACHABLE/);
      assert.deepEqual(properties, account);
      await credentials.update(id ?? "", account, account);
      assert.deepEqual(await names(), both);
    });

    it("refuses an object made by hand, and leaves it untouched", async () => {
      const name = "registry_password";
      await woodpecker("POST", path(), { name, value: "x", events: ["push"] });
      await rejected(credentials.create(account), /^RDEV_NOT_OURS: /);
      assert.deepEqual(await names(), [name]);
    });

    it("deletes both without the registry's variables, also twice", async () => {
      const { id, outs } = await credentials.create(account);
      set({ REGISTRY_URL: undefined, REGISTRY_CI_PASSWORD: undefined });
      await credentials.delete(id, outs);
      assert.deepEqual(await names(), []);
      await credentials.delete(id, outs);
    });
  });

  describe("woodpecker:Pipeline", () => {
    let repositoryId: number;
    let run: { repositoryId: number; branch: string };
    const all = async () =>
      (await woodpecker("GET", `/repos/${repositoryId}/pipelines`)) as { number: number }[];

    beforeEach(async () => {
      await gitea("POST", `/repos/${fullName}/contents/.woodpecker.yml`, {
        content: Buffer.from(CONFIG).toString("base64"),
      });
      repositoryId = await activated();
      run = { repositoryId, branch: "main" };
    });

    it("starts exactly one run", async () => {
      const { id, outs } = await pipelines.create(run);
      const url = `${variable("WOODPECKER_URL")}/repos/${repositoryId}/pipeline/1`;
      assert.deepEqual(outs, { ...run, number: 1, url });
      assert.equal((await pipelines.create(run)).id, id);
      await pipelines.update(id, outs, { ...run, branch: "next" });
      await pipelines.delete(id, outs);
      assert.equal((await all()).length, 1);
    });

    it("does not start a second run if the answer to the create was lost", async () => {
      viaProxy();
      proxy.loseAnswers("POST");
      await rejected(pipelines.create(run), /^RDEV_UNREACHABLE: /);
      assert.equal((await pipelines.create(run)).outs.number, 1);
      assert.equal((await all()).length, 1);
    });

    it("stays in the state after its runs were purged", async () => {
      const state = { ...run, number: 1, url: "https://ci.example.org/repos/1/pipeline/1" };
      assert.deepEqual((await pipelines.read(`${repositoryId}/1`, state)).props, state);
    });

    const configure = async (content: string) => {
      const path = `/repos/${fullName}/contents/.woodpecker.yml`;
      const { sha } = (await gitea("GET", path)) as { sha: string };
      await gitea("PUT", path, { content: Buffer.from(content).toString("base64"), sha });
    };
    const mistyped = CONFIG.replace(
      "image: alpine",
      "$&, environment: {A: {from_secret: kube_tokn}}",
    );

    it("reports why Woodpecker rejected the first run, without its warnings", async () => {
      await configure(mistyped.replace(/^when.*\n/, ""));
      const { message } = await rejected(pipelines.create(run), /^RDEV_REFUSED: .*branch main/);
      assert.match(message, /^ {2}- secret "kube_tokn" not found$/m);
      assert.doesNotMatch(message, /Consider adding/);
      const [first] = (await woodpecker("GET", `/repos/${repositoryId}/pipelines`)) as object[];
      assert.match(JSON.stringify(first), /"status":"error".*Consider adding/);
    });

    it("starts another run if the first one was rejected", async () => {
      await configure(mistyped);
      await rejected(pipelines.create(run), /^RDEV_REFUSED: /);
      await rejected(pipelines.create(run), /^RDEV_REFUSED: /);
      await configure(CONFIG);
      assert.equal((await pipelines.create(run)).outs.number, 3);
    });

    it("reports a missing branch", async () => {
      await rejected(
        pipelines.create({ ...run, branch: "none" }),
        /^RDEV_REFUSED: .*branch none .*no such branch/,
      );
    });

    it("does not blame the branch if Woodpecker fails", async () => {
      viaProxy();
      proxy.misbehave({ match: { method: "POST" }, status: 500, times: 1 });
      await rejected(pipelines.create(run), /^RDEV_UNREACHABLE: .* 500/);
    });

    it("reports that the configuration could not be read", async () => {
      const options = { gitea: { url: variable("GITEA_URL"), token: variable("GITEA_TOKEN") } };
      const forge = await startFaultyProxy(options.gitea.url);
      const own = await startWoodpecker({ gitea: { ...options.gitea, url: forge.url } });
      set({ WOODPECKER_URL: own.url, WOODPECKER_TOKEN: own.token });
      try {
        const { outs } = await repositories.create(inputs());
        forge.misbehave({ match: { path: /\/raw\// }, status: 503 });
        const wanted = { ...run, repositoryId: Number(outs["repositoryId"]) };
        await rejected(pipelines.create(wanted), /^RDEV_REFUSED: [^]*could not load config/);
      } finally {
        await own.close();
        await forge.close();
      }
    });

    it("reports a missing configuration", async () => {
      const repository = await forgeRepository({ auto_init: true });
      ({ id: forgeRemoteId, full_name: fullName } = repository);
      const bare = { ...run, repositoryId: await activated() };
      await rejected(pipelines.create(bare), /^RDEV_REFUSED: .*no \.woodpecker\.yml/);
    });
  });
});

describe("Woodpecker", () => {
  const inputs = { fullName: "rdev/my-app", forgeRemoteId: 1 };
  itMeetsFaults({
    url: "WOODPECKER_URL",
    credential: "WOODPECKER_TOKEN",
    read: () => repositories.read("1", inputs),
  });
});

const gitea = (method: Method, path: string, json?: object) =>
  call(method, `${variable("GITEA_URL")}/api/v1${path}`, `token ${variable("GITEA_TOKEN")}`, json);

async function call(method: Method, url: string, authorization: string, json?: object) {
  const answer = await request(url, {
    method,
    headers: { authorization, "content-type": "application/json" },
    body: json ? JSON.stringify(json) : null,
  });
  const text = await answer.body.text();
  assert.ok(answer.statusCode < 300, `${method} ${url}: ${answer.statusCode} ${text}`);
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}
