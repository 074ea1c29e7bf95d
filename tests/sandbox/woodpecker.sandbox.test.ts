import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { request } from "undici";
import { z } from "zod";
import { startWoodpecker, type Woodpecker } from "../../sandbox/woodpecker/server.ts";

const repoSchema = z.looseObject({
  id: z.number(),
  forge_remote_id: z.string(),
  full_name: z.string(),
  default_branch: z.string(),
  active: z.boolean(),
  timeout: z.number(),
  config_file: z.string(),
  trusted: z.strictObject({ network: z.boolean(), volumes: z.boolean(), security: z.boolean() }),
});
const secretSchema = z.strictObject({
  id: z.number(),
  org_id: z.literal(0),
  repo_id: z.number(),
  name: z.string(),
  images: z.array(z.string()).nullable(),
  events: z.array(z.string()),
  note: z.string(),
});
const pipelineSchema = z.looseObject({
  number: z.number(),
  status: z.string(),
  event: z.string(),
  branch: z.string(),
  commit: z.string(),
  ref: z.string(),
  author: z.string(),
  variables: z.record(z.string(), z.string()).optional(),
});
const workflowsSchema = z.object({
  workflows: z.array(
    z.looseObject({ name: z.string(), children: z.array(z.looseObject({ name: z.string() })) }),
  ),
});
const errorsSchema = z.object({
  errors: z.array(
    z.object({
      type: z.string(),
      message: z.string(),
      is_warning: z.boolean(),
      data: z.unknown(),
    }),
  ),
});
const giteaRepoSchema = z.object({ id: z.number(), full_name: z.string() });
const hooksSchema = z.array(
  z.object({
    active: z.boolean(),
    events: z.array(z.string()),
    config: z.object({ url: z.string(), content_type: z.string() }),
  }),
);
const commitSchema = z.object({ commit: z.object({ sha: z.string() }) });

const CONFIG = `when: {event: [push, manual]}
steps:
  - {name: test, image: alpine, commands: [echo tested]}
`;

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Uses the sandbox's Gitea, with its own stand-in and organization. */
describe("the stand-in for Woodpecker, on Gitea", function () {
  this.timeout(20_000); // Gitea takes a second or two to delete a repository on a busy machine

  const gitea = { url: "", token: "" };
  const organization = `wp-${randomBytes(4).toString("hex")}`;
  let woodpecker: Woodpecker;
  let repository: z.infer<typeof giteaRepoSchema>;

  before(async () => {
    const { GITEA_URL, GITEA_TOKEN } = process.env;
    assert.ok(GITEA_URL && GITEA_TOKEN, "GITEA_URL and GITEA_TOKEN must point at the sandbox");
    Object.assign(gitea, { url: GITEA_URL.replace(/\/$/, ""), token: GITEA_TOKEN });
    await onGitea("POST", "/orgs", { username: organization });
  });
  after(() => onGitea("DELETE", `/orgs/${organization}`));

  beforeEach(async () => {
    woodpecker = await startWoodpecker({ gitea });
    const name = `app-${randomBytes(4).toString("hex")}`;
    const created = await onGitea("POST", `/orgs/${organization}/repos`, {
      name,
      auto_init: true,
      default_branch: "main",
    });
    repository = giteaRepoSchema.parse(created);
  });
  afterEach(async () => {
    await woodpecker.close();
    await onGitea("DELETE", `/repos/${repository.full_name}`).catch(() => undefined);
  });

  async function onGitea(method: Method, path: string, body?: unknown): Promise<unknown> {
    const answer = await request(`${gitea.url}/api/v1${path}`, {
      method,
      headers: { authorization: `token ${gitea.token}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    assert.ok(answer.statusCode < 300, `Gitea: ${method} ${path}: ${answer.statusCode} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  const call = (method: Method, path: string, body?: unknown) =>
    send(method, `${woodpecker.url}/api${path}`, {
      authorization: `Bearer ${woodpecker.token}`,
      body,
    });

  async function send(
    method: Method,
    url: string,
    { authorization, body }: { readonly authorization: string; readonly body?: unknown },
  ) {
    const answer = await request(url, {
      method,
      headers: {
        authorization,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    const isJson = String(answer.headers["content-type"]).startsWith("application/json");
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: isJson ? (JSON.parse(text) as unknown) : text,
    };
  }

  async function activate() {
    const answer = await call("POST", `/repos?forge_remote_id=${repository.id}`);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return repoSchema.parse(answer.body);
  }

  const hooks = async () =>
    hooksSchema.parse(await onGitea("GET", `/repos/${repository.full_name}/hooks`));

  async function commitFile(path: string, content: string, branch = "main"): Promise<string> {
    const created = await onGitea("POST", `/repos/${repository.full_name}/contents/${path}`, {
      content: Buffer.from(content).toString("base64"),
      message: `Add ${path}`,
      branch,
    });
    return commitSchema.parse(created).commit.sha;
  }

  it("names Gitea's user", async () => {
    const user = z.object({ login: z.string() }).parse(await onGitea("GET", "/user"));
    const answer = await call("GET", "/user");
    assert.equal(z.looseObject({ login: z.string() }).parse(answer.body).login, user.login);
  });

  describe("a repository", () => {
    it("is activated with a webhook, and found by id and by full name", async () => {
      const repo = await activate();
      assert.equal(repo.active, true);
      assert.equal(repo.forge_remote_id, String(repository.id));
      assert.equal(repo.full_name, repository.full_name);
      assert.equal(repo.default_branch, "main");

      const [hook, ...others] = await hooks();
      assert.equal(others.length, 0);
      assert.ok(hook?.active && hook.events.includes("push"));
      assert.ok(hook.config.url.startsWith(`${woodpecker.url}/api/hook?access_token=`));

      const { full_name: fullName } = repository;
      const paths = [
        `/repos/${repo.id}`,
        `/repos/lookup/${fullName}`,
        `/repos/lookup/${encodeURIComponent(fullName)}`,
        `/repos/lookup/${fullName.toUpperCase()}`,
      ];
      for (const path of paths) assert.deepEqual((await call("GET", path)).body, repo);
    });

    it("cannot be activated twice, or if it is not on Gitea", async () => {
      await activate();
      const again = await call("POST", `/repos?forge_remote_id=${repository.id}`);
      assert.equal(again.status, 409);
      assert.equal(again.body, "Repository is already active.");
      assert.equal((await hooks()).length, 1);
      // Like the real server, answers 500 for a repository that does not exist.
      const unknown = await call("POST", "/repos?forge_remote_id=99999999");
      assert.equal(unknown.status, 500);
    });

    it("is changed only by valid values", async () => {
      const { id, trusted } = await activate();
      const patch = { timeout: 30, config_file: "ci.yml", trusted: { network: true } };
      const changed = repoSchema.parse((await call("PATCH", `/repos/${id}`, patch)).body);
      assert.equal(changed.timeout, 30);
      assert.equal(changed.config_file, "ci.yml");
      assert.deepEqual(changed.trusted, { ...trusted, network: true });
      for (const wrong of [{ timeout: 0 }, { visibility: "secret" }, { require_approval: "x" }]) {
        assert.equal((await call("PATCH", `/repos/${id}`, wrong)).status, 400);
      }
      assert.deepEqual((await call("GET", `/repos/${id}`)).body, changed);
    });

    it("loses its webhook when deactivated, and keeps its settings when reactivated", async () => {
      const { id } = await activate();
      await call("PATCH", `/repos/${id}`, { timeout: 30 });
      assert.equal((await call("DELETE", `/repos/${id}`)).status, 200);
      assert.deepEqual(await hooks(), []);
      const inactive = repoSchema.parse((await call("GET", `/repos/${id}`)).body);
      assert.equal(inactive.active, false);

      const active = await activate();
      assert.equal(active.id, id);
      assert.equal(active.timeout, 30);
      assert.equal((await hooks()).length, 1);
    });

    it("is removed with its own webhook and secrets, but not with other webhooks", async () => {
      await onGitea("POST", `/repos/${repository.full_name}/hooks`, {
        type: "gitea",
        config: { url: "http://example.com/hook", content_type: "json" },
        active: true,
      });
      const { id } = await activate();
      await call("POST", `/repos/${id}/secrets`, { name: "a", value: "b", events: ["push"] });
      assert.equal((await call("DELETE", `/repos/${id}?remove=true`)).status, 200);
      assert.deepEqual(
        (await hooks()).map(({ config }) => config.url),
        ["http://example.com/hook"],
      );
      assert.equal((await call("GET", `/repos/${id}`)).status, 404);
      assert.equal((await call("DELETE", `/repos/${id}?remove=true`)).status, 404);
      const next = await activate();
      assert.equal((await call("GET", `/repos/${next.id}/secrets`)).body, null);
    });

    it("can be deactivated and removed even if it is gone from Gitea", async () => {
      const { id } = await activate();
      await onGitea("DELETE", `/repos/${repository.full_name}`);
      assert.equal((await call("DELETE", `/repos/${id}`)).status, 200);
      assert.equal((await call("DELETE", `/repos/${id}?remove=true`)).status, 200);
      assert.equal((await call("GET", `/repos/${id}`)).status, 404);
    });
  });

  describe("users", () => {
    /** Creates a user on Gitea who logs in to Woodpecker. Returns a function that calls it as that user. */
    async function stranger(permission?: "read" | "write" | "admin") {
      const username = `u${randomBytes(4).toString("hex")}`;
      const password = randomBytes(12).toString("hex");
      await onGitea("POST", "/admin/users", {
        username,
        password,
        email: `${username}@example.test`,
        must_change_password: false,
      });
      const basic = Buffer.from(`${username}:${password}`).toString("base64");
      const made = await send("POST", `${gitea.url}/api/v1/users/${username}/tokens`, {
        authorization: `Basic ${basic}`,
        body: { name: "t", scopes: ["all"] },
      });
      const { sha1 } = z.object({ sha1: z.string() }).parse(made.body);
      if (permission) {
        const path = `/repos/${repository.full_name}/collaborators/${username}`;
        await onGitea("PUT", path, { permission });
      }
      const login = await send("POST", `${woodpecker.url}/authorize`, {
        authorization: `token ${sha1}`,
      });
      const { token } = z.object({ token: z.string() }).parse(login.body);
      return async (method: Method, path: string, body?: unknown) =>
        (
          await send(method, `${woodpecker.url}/api${path}`, {
            authorization: `Bearer ${token}`,
            body,
          })
        ).status;
    }

    beforeEach(async () => {
      await onGitea("PATCH", `/repos/${repository.full_name}`, { private: true });
    });

    it("get 404 for a private repository without rights in it", async () => {
      const { id } = await activate();
      const ask = await stranger();
      const paths = ["", "/secrets", "/secrets/a", "/pipelines", "/pipelines/1"];
      for (const path of paths) assert.equal(await ask("GET", `/repos/${id}${path}`), 404, path);
      assert.equal(await ask("GET", `/repos/lookup/${repository.full_name}`), 404);
      assert.equal(await ask("DELETE", `/repos/${id}`), 404);
      assert.equal(await ask("POST", `/repos/${id}/pipelines`, { branch: "main" }), 404);
      assert.equal((await call("GET", `/repos/${id}`)).status, 200);
    });

    it("learn from the permissions call that a repository exists, even without rights", async () => {
      const { id } = await activate();
      const ask = await stranger();
      assert.equal(await ask("GET", `/repos/${id}/permissions`), 200);
      assert.equal(await ask("GET", "/repos/987654/permissions"), 404);
    });

    it("need push rights to list secrets, and administrator rights to remove the repository", async () => {
      const { id } = await activate();
      const [reads, writes, administers] = [
        await stranger("read"),
        await stranger("write"),
        await stranger("admin"),
      ];
      assert.equal(await reads("GET", `/repos/${id}`), 200);
      assert.equal(await reads("GET", `/repos/${id}/secrets`), 404);
      assert.equal(await writes("GET", `/repos/${id}/secrets`), 200);
      assert.equal(await writes("DELETE", `/repos/${id}`), 403);
      assert.equal(await administers("DELETE", `/repos/${id}?remove=true`), 200);
    });

    it("can activate only repositories that they administer on Gitea", async () => {
      const [writes, administers] = [await stranger("write"), await stranger("admin")];
      const path = `/repos?forge_remote_id=${repository.id}`;
      assert.equal(await writes("POST", path), 403);
      assert.equal(await administers("POST", path), 200);
    });

    it("are identified by their token; only one is an administrator", async () => {
      const answer = await call("GET", "/user");
      assert.equal(z.looseObject({ admin: z.boolean() }).parse(answer.body).admin, true);
      assert.equal(await (await stranger())("GET", "/user"), 200);
      const login = await send("POST", `${woodpecker.url}/authorize`, { authorization: "token x" });
      assert.equal(login.status, 401);
    });
  });

  describe("secrets", () => {
    const planted = "planted-value";

    async function post(id: number, name: string) {
      const body = { name, value: planted, events: ["push", "manual"], note: "for tests" };
      return call("POST", `/repos/${id}/secrets`, body);
    }

    it("are created, listed by name, changed and deleted, without ever showing their value", async () => {
      const { id } = await activate();
      const path = `/repos/${id}/secrets`;
      const answers = [await post(id, "registry"), await post(id, "deploy_token")];
      const created = secretSchema.parse(answers[0]?.body);
      assert.deepEqual(created.events, ["manual", "push"], "sorted, as the real server does");
      assert.equal(created.repo_id, id);

      const list = await call("GET", path);
      assert.deepEqual(
        z
          .array(secretSchema)
          .parse(list.body)
          .map(({ name }) => name),
        ["deploy_token", "registry"],
      );
      const patch = { value: `${planted}-2`, events: ["tag"] };
      const changed = await call("PATCH", `${path}/registry`, patch);
      assert.deepEqual(secretSchema.parse(changed.body), { ...created, events: ["tag"] });
      const got = await call("GET", `${path}/registry`);
      assert.deepEqual(got.body, changed.body);

      const all = JSON.stringify([...answers, list, changed, got]);
      assert.ok(!all.includes(planted));

      assert.equal((await call("DELETE", `${path}/registry`)).status, 204);
      for (const method of ["GET", "DELETE"] as const) {
        assert.equal((await call(method, `${path}/registry`)).status, 404);
      }
      assert.equal((await call("PATCH", `${path}/registry`, patch)).status, 404);
    });

    it("are listed as null if there are none, and in pages of 50", async () => {
      const { id } = await activate();
      assert.equal((await call("GET", `/repos/${id}/secrets`)).body, null);
      for (let n = 0; n < 51; n += 1) await post(id, `s${String(n).padStart(2, "0")}`);
      const page = async (query: string) =>
        z.array(secretSchema).parse((await call("GET", `/repos/${id}/secrets${query}`)).body);
      assert.equal((await page("?perPage=100")).length, 50);
      assert.deepEqual(
        (await page("?page=2")).map(({ name }) => name),
        ["s50"],
      );
      assert.equal((await page("?page=6&perPage=10")).length, 1);
    });

    it("are refused if they are duplicate, incomplete or have unknown events", async () => {
      const { id } = await activate();
      const good = { name: "registry", value: planted, events: ["push"] };
      assert.equal((await call("POST", `/repos/${id}/secrets`, good)).status, 200);
      const wrong: [number, Record<string, unknown>][] = [
        [500, good],
        [422, { ...good, events: [] }],
        [422, { ...good, events: ["pushed"] }],
        [422, { ...good, value: "" }],
        [422, { ...good, name: "" }],
        [422, { ...good, images: ["not an image"] }],
        [400, { ...good, events: "push" }],
      ];
      for (const [status, body] of wrong) {
        const answer = await call("POST", `/repos/${id}/secrets`, body);
        assert.equal(answer.status, status, JSON.stringify(body));
        assert.ok(!JSON.stringify(answer.body).includes(planted));
      }
    });

    it("belong to one repository", async () => {
      const { id } = await activate();
      await post(id, "registry");
      const other = giteaRepoSchema.parse(
        await onGitea("POST", `/orgs/${organization}/repos`, { name: `other-${id}` }),
      );
      const activated = await call("POST", `/repos?forge_remote_id=${other.id}`);
      const { id: otherId } = repoSchema.parse(activated.body);
      assert.equal((await call("GET", `/repos/${otherId}/secrets/registry`)).status, 404);
      await onGitea("DELETE", `/repos/${other.full_name}`);
    });
  });

  describe("pipelines", () => {
    it("run at the branch's newest commit, are numbered, and are listed newest first", async () => {
      const { id } = await activate();
      const path = `/repos/${id}/pipelines`;
      assert.deepEqual((await call("GET", path)).body, []);
      const sha = await commitFile(".woodpecker.yml", CONFIG);
      const variables = { TARGET: "staging" };
      const answer = await call("POST", path, { branch: "main", variables });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      const first = pipelineSchema.parse(answer.body);
      assert.equal(first.number, 1);
      assert.equal(first.status, "pending");
      assert.equal(first.event, "manual");
      assert.equal(first.branch, "main");
      assert.equal(first.commit, sha);
      assert.deepEqual(first.variables, variables);

      const second = pipelineSchema.parse((await call("POST", path, { branch: "main" })).body);
      assert.equal(second.number, 2);
      assert.equal(second.variables, undefined);
      const listed = ({ workflows: _, ...rest }: typeof first) => rest;
      assert.deepEqual((await call("GET", path)).body, [listed(second), listed(first)]);
      assert.deepEqual((await call("GET", `${path}/1`)).body, first);
      assert.equal((await call("GET", `${path}/3`)).status, 404);
      assert.equal((await call("GET", `${path}/x`)).status, 400);
      assert.deepEqual((await call("GET", `${path}?branch=other`)).body, []);
      assert.equal((await call("GET", `${path}?status=pending&event=manual`)).status, 200);
    });

    it("include workflows and steps only when read one by one", async () => {
      const { id } = await activate();
      await commitFile(".woodpecker.yml", CONFIG);
      const made = await call("POST", `/repos/${id}/pipelines`, { branch: "main" });
      const { workflows } = workflowsSchema.parse(made.body);
      assert.deepEqual(
        workflows.map(({ name, children }) => [name, ...children.map((step) => step.name)]),
        [["woodpecker", "clone", "test"]],
      );
      const list = z
        .array(z.looseObject({}))
        .parse((await call("GET", `/repos/${id}/pipelines`)).body);
      assert.ok(list.every((one) => !("workflows" in one)));
    });

    it("have the branch as their ref, and a fixed message", async () => {
      const { id } = await activate();
      await commitFile(".woodpecker.yml", CONFIG);
      const body = { branch: "main", message: "mine" };
      const made = await call("POST", `/repos/${id}/pipelines`, body);
      const { ref, message } = z
        .looseObject({ ref: z.string(), message: z.string() })
        .parse(made.body);
      assert.equal(ref, "main");
      assert.equal(message, "MANUAL PIPELINE @ main");
    });

    it("count as the latest only if a push started them", async () => {
      const { id } = await activate();
      await commitFile(".woodpecker.yml", CONFIG);
      await call("POST", `/repos/${id}/pipelines`, { branch: "main" });
      assert.equal((await call("GET", `/repos/${id}/pipelines/latest`)).status, 404);
    });

    it("are filtered by ref, status, event and time; invalid filters are refused", async () => {
      const { id } = await activate();
      await commitFile(".woodpecker.yml", CONFIG);
      const path = `/repos/${id}/pipelines`;
      const made = pipelineSchema.parse((await call("POST", path, { branch: "main" })).body);
      const count = async (query: string) =>
        z.array(z.unknown()).parse((await call("GET", `${path}?${query}`)).body).length;
      for (const query of ["ref=mai", "status=pending", "event=push,manual", "status="]) {
        assert.equal(await count(query), 1, query);
      }
      const early = "2020-01-01T00:00:00Z";
      assert.equal(await count(`after=${early}`), 1);
      assert.equal(await count(`before=${early}`), 0);
      assert.equal(made.status, "pending");
      for (const query of ["status=bogus", "event=push,bogus", "before=yesterday"]) {
        assert.equal((await call("GET", `${path}?${query}`)).status, 400, query);
      }
    });

    it("have the status error, with the answer 200, if the configuration is wrong", async () => {
      const { id } = await activate();
      const path = `/repos/${id}/pipelines`;
      const wrong: [string, string, string][] = [
        ["steps: []\n", "linter", "Invalid or missing `steps` section"],
        ["steps: [\n", "compiler", "at line"],
        [
          "steps: [{name: a, image: b, environment: {X: {from_secret: mistyped}}}]\n",
          "generic",
          'secret "mistyped" not found',
        ],
      ];
      for (const [index, [config, type, message]] of wrong.entries()) {
        await call("PATCH", `/repos/${id}`, { config_file: `ci-${index}.yml` });
        await commitFile(`ci-${index}.yml`, config);
        const answer = await call("POST", path, { branch: "main" });
        assert.equal(answer.status, 200);
        assert.equal(pipelineSchema.parse(answer.body).status, "error");
        const { errors } = errorsSchema.parse(answer.body);
        const blocking = errors.filter((error) => !error.is_warning);
        assert.deepEqual(
          blocking.map((error) => error.type),
          [type],
        );
        assert.ok(blocking[0]?.message.includes(message), blocking[0]?.message);
      }
      assert.equal(z.array(z.unknown()).parse((await call("GET", path)).body).length, 3);
    });

    it("are not created if filters exclude everything: 204 with the header Pipeline-Filtered", async () => {
      const { id } = await activate();
      await commitFile(".woodpecker.yml", CONFIG.replace("[push, manual]", "push"));
      const answer = await call("POST", `/repos/${id}/pipelines`, { branch: "main" });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers["pipeline-filtered"], "true");
      assert.deepEqual((await call("GET", `/repos/${id}/pipelines`)).body, []);
    });

    it("are not created without a configuration: 204 with the header Pipeline-Filtered", async () => {
      const { id } = await activate();
      const answer = await call("POST", `/repos/${id}/pipelines`, { branch: "main" });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers["pipeline-filtered"], "true");
      assert.deepEqual((await call("GET", `/repos/${id}/pipelines`)).body, []);
    });

    it("find their configuration in the other locations, too", async () => {
      const { id } = await activate();
      const trigger = async () =>
        (await call("POST", `/repos/${id}/pipelines`, { branch: "main" })).status;
      await commitFile("ci.yml", CONFIG);
      assert.equal(await trigger(), 204);
      await call("PATCH", `/repos/${id}`, { config_file: "ci.yml" });
      assert.equal(await trigger(), 200);
      await call("PATCH", `/repos/${id}`, { config_file: "" });
      await commitFile(".woodpecker/build.yaml", CONFIG);
      assert.equal(await trigger(), 200);
    });

    it("are refused on an unknown branch, with a malformed body, and in a deactivated repository", async () => {
      const { id } = await activate();
      await commitFile(".woodpecker.yml", CONFIG);
      const path = `/repos/${id}/pipelines`;
      assert.equal((await call("POST", path, { branch: "none" })).status, 500);
      assert.equal((await call("POST", path, { branch: 1 })).status, 400);
      await call("DELETE", `/repos/${id}`);
      assert.equal((await call("POST", path, { branch: "main" })).status, 500);
      assert.deepEqual((await call("GET", path)).body, []);
    });
  });
});
