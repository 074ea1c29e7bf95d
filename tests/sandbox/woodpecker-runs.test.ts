import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import fastify, { type FastifyInstance } from "fastify";
import { request } from "undici";
import { z } from "zod";
import type { StepOrder, StepWatch } from "../../sandbox/woodpecker/backend.ts";
import { startWoodpecker, type Woodpecker } from "../../sandbox/woodpecker/server.ts";

const pipelineSchema = z.looseObject({
  number: z.number(),
  status: z.string(),
  started: z.number(),
  finished: z.number(),
  cancel_info: z.unknown().optional(),
  workflows: z.array(
    z.looseObject({
      state: z.string(),
      error: z.string().optional(),
      children: z.array(
        z.looseObject({
          id: z.number(),
          name: z.string(),
          state: z.string(),
          exit_code: z.number(),
          error: z.string().optional(),
          started: z.number().optional(),
          finished: z.number().optional(),
        }),
      ),
    }),
  ),
});
const logSchema = z
  .array(
    z.strictObject({
      id: z.number(),
      step_id: z.number(),
      time: z.number(),
      line: z.number(),
      data: z.base64(),
      type: z.literal(0),
    }),
  )
  .nullable();

const OVER = ["success", "failure", "killed", "canceled"];

/** How the states of a run follow from its steps, with a backend that runs nothing. */
describe("a run of a pipeline in the stand-in for Woodpecker", () => {
  let gitea: FastifyInstance;
  let woodpecker: Woodpecker;
  let config: string;
  let orders: Map<string, StepOrder>;
  /** Whether Gitea fails to name its user. */
  let isAway: boolean;
  let onPrepare: () => void;
  /** What each step does. Default: it succeeds. */
  let behaviour: Record<string, (watch: StepWatch) => Promise<number> | number>;

  beforeEach(async () => {
    orders = new Map();
    isAway = false;
    onPrepare = () => undefined;
    behaviour = {};
    gitea = fastify({ forceCloseConnections: true });
    gitea.get("/api/v1/user", async (_, reply) =>
      isAway ? reply.code(502).send() : { id: 1, login: "ada", email: "a@b.c", avatar_url: "" },
    );
    gitea.get("/api/v1/repositories/7", async () => ({
      id: 7,
      name: "app",
      full_name: "acme/app",
      owner: { login: "acme", avatar_url: "", visibility: "private" },
      html_url: "https://gitea.example.com/acme/app",
      clone_url: "https://gitea.example.com/acme/app.git",
      ssh_url: "",
      default_branch: "main",
      private: true,
      has_pull_requests: true,
      permissions: { admin: true, push: true, pull: true },
    }));
    gitea.post("/api/v1/repos/acme/app/hooks", async () => ({}));
    gitea.get("/api/v1/repos/acme/app/branches/main", async () => ({
      commit: { id: "abc123", url: "" },
    }));
    gitea.get("/api/v1/repos/acme/app/contents/.woodpecker", async (_, reply) =>
      reply.code(404).send(),
    );
    gitea.get<{ Params: { file: string } }>(
      "/api/v1/repos/acme/app/raw/:file",
      async ({ params: { file } }, reply) =>
        file === ".woodpecker.yml" ? config : reply.code(404).send(),
    );
    const url = await gitea.listen({ host: "127.0.0.1", port: 0 });
    woodpecker = await startWoodpecker({
      gitea: { url, token: "clone-token" },
      backend: {
        prepare: async () => {
          onPrepare();
          return {
            run: async (step, watch) => {
              const name = step.environment["CI_STEP_NAME"] ?? "";
              orders.set(name, step);
              return (await behaviour[name]?.(watch)) ?? 0;
            },
            remove: async () => undefined,
          };
        },
      },
    });
    const { id } = z
      .looseObject({ id: z.number() })
      .parse((await call("POST", "/repos?forge_remote_id=7")).body);
    assert.equal(id, 1);
  });
  afterEach(async () => {
    await woodpecker.close();
    await gitea.close();
  });

  async function call(method: "GET" | "POST" | "PATCH", path: string, body?: unknown) {
    const answer = await request(`${woodpecker.url}/api${path}`, {
      method,
      headers: {
        authorization: `Bearer ${woodpecker.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    return {
      status: answer.statusCode,
      body:
        text.startsWith("{") || text.startsWith("[") || text === "null"
          ? (JSON.parse(text) as unknown)
          : text,
    };
  }

  async function start(text: string): Promise<number> {
    config = text;
    const answer = await call("POST", "/repos/1/pipelines", { branch: "main" });
    return z.looseObject({ number: z.number() }).parse(answer.body).number;
  }

  const read = async (number: number) =>
    pipelineSchema.parse((await call("GET", `/repos/1/pipelines/${number}`)).body);

  async function until(number: number, test: (status: string) => boolean) {
    for (;;) {
      const pipeline = await read(number);
      if (test(pipeline.status)) return pipeline;
      await sleep(10);
    }
  }

  /** Runs the steps to the end of the pipeline. */
  async function run(text: string) {
    return until(await start(text), (status) => OVER.includes(status));
  }

  const states = ({ workflows }: z.output<typeof pipelineSchema>) =>
    workflows.flatMap(({ children }) => children.map(({ name, state }) => `${name} ${state}`));

  async function log(number: number, step: number): Promise<string[] | null> {
    const { body } = await call("GET", `/repos/1/logs/${number}/${step}`);
    return logSchema.parse(body)?.map(({ data }) => Buffer.from(data, "base64").toString()) ?? null;
  }

  const step = (name: string, rest = "") => `{name: ${name}, image: alpine, commands: [x]${rest}}`;

  it("succeeds if every step does, with the times of each", async () => {
    const done = await run(`steps: [${step("a")}, ${step("b")}]`);
    assert.deepEqual(states(done), ["clone success", "a success", "b success"]);
    assert.deepEqual([done.status, done.workflows[0]?.state], ["success", "success"]);
    const { children = [] } = done.workflows[0] ?? {};
    for (const { started = 0, finished = 0 } of children)
      assert.ok(finished >= started && started > 0);
    assert.ok(done.finished >= done.started && done.started > 0);
  });

  it("skips the steps after one that fails, except those for failures", async () => {
    behaviour["a"] = () => 3;
    const done = await run(
      `steps: [${step("a")}, ${step("b")}, ${step("c", ", when: {status: failure}")}]`,
    );
    assert.deepEqual(states(done), ["clone success", "a failure", "b skipped", "c success"]);
    assert.equal(done.status, "failure");
    assert.equal(done.workflows[0]?.children[1]?.exit_code, 3);
    assert.equal(orders.get("c")?.environment["CI_PIPELINE_STATUS"], "failure");
  });

  it("goes on after a failure that is ignored", async () => {
    behaviour["a"] = () => 1;
    const done = await run(`steps: [${step("a", ", failure: ignore")}, ${step("b")}]`);
    assert.deepEqual(states(done), ["clone success", "a failure", "b success"]);
    assert.equal(done.status, "success");
  });

  it("fails with the reason if a step cannot be started", async () => {
    behaviour["a"] = () => Promise.reject(new Error("no counterpart"));
    const done = await run(`steps: [${step("a", ", failure: ignore")}, ${step("b")}]`);
    assert.deepEqual(states(done), ["clone success", "a failure", "b skipped"]);
    assert.equal(done.workflows[0]?.children[1]?.error, "no counterpart");
    assert.deepEqual([done.status, done.workflows[0]?.error], ["failure", "no counterpart"]);
  });

  it("runs steps at the same time if they depend on the same one", async () => {
    let running = 0;
    let most = 0;
    const busy = async () => {
      most = Math.max(most, (running += 1));
      await sleep(50);
      running -= 1;
      return 0;
    };
    behaviour["b"] = behaviour["c"] = busy;
    const after = ", depends_on: a";
    const done = await run(`steps: [${step("a")}, ${step("b", after)}, ${step("c", after)}]`);
    assert.equal(most, 2);
    assert.equal(done.status, "success");
  });

  it("ends a detached step when the others are done", async () => {
    behaviour["a"] = ({ signal }) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve(137)));
    const done = await run(`steps: [${step("a", ", detach: true")}, ${step("b")}]`);
    assert.deepEqual(states(done), ["clone success", "a success", "b success"]);
    assert.equal(done.status, "success");
  });

  const hangs = ({ signal, onLine }: StepWatch) => {
    onLine("it hangs");
    return new Promise<number>((resolve) => signal.addEventListener("abort", () => resolve(137)));
  };

  it("is killed by a cancel: the running step, and then nothing more", async () => {
    behaviour["a"] = hangs;
    const number = await start(`steps: [${step("a")}, ${step("b")}]`);
    await until(number, (status) => status === "running");
    while (!orders.has("a")) await sleep(10);
    const path = `/repos/1/pipelines/${number}/cancel`;
    assert.equal((await call("POST", path)).status, 204);
    const done = await until(number, (status) => status === "killed");
    assert.deepEqual(done.cancel_info, { canceled_by_user: "ada" });
    while (states(await read(number)).includes("a running")) await sleep(10);
    const ended = await read(number);
    assert.deepEqual(states(ended), ["clone success", "a killed", "b canceled"]);
    assert.deepEqual([ended.status, ended.workflows[0]?.state], ["killed", "killed"]);
    assert.ok(!orders.has("b"));
    assert.deepEqual(await call("POST", path), {
      status: 400,
      body: "Cannot cancel a non-running or non-pending or non-blocked pipeline",
    });
  });

  it("is killed when the repository's time is over", async () => {
    behaviour["a"] = hangs;
    await call("PATCH", "/repos/1", { timeout: 1 });
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    AbortSignal.timeout = (ms) => timeout(ms === 60_000 ? 50 : ms);
    try {
      const done = await run(`steps: [${step("a")}, ${step("b")}]`);
      assert.deepEqual(states(done), ["clone success", "a killed", "b killed"]);
      assert.equal(done.status, "killed");
    } finally {
      AbortSignal.timeout = timeout;
    }
  });

  it("is cancelled by a step whose failure says so", async () => {
    behaviour["a"] = () => 1;
    const done = await run(`steps: [${step("a", ", failure: cancel")}, ${step("b")}]`);
    assert.deepEqual(done.cancel_info, { canceled_by_step: "a" });
    assert.equal(done.status, "killed");
    assert.ok(!orders.has("b"));
  });

  it("fails with the reason if Gitea does not name the account for the clone", async () => {
    onPrepare = () => (isAway = true);
    const done = await run(`steps: [${step("a")}]`);
    assert.deepEqual(states(done), ["clone failure", "a skipped"]);
    assert.equal(done.workflows[0]?.error, "Gitea answered 502 to GET /user");
  });

  it("gives the clone step the account of Gitea, and no other step", async () => {
    await run(`steps: [${step("a")}]`);
    const { CI_NETRC_MACHINE, CI_NETRC_USERNAME, CI_NETRC_PASSWORD } =
      orders.get("clone")?.environment ?? {};
    assert.deepEqual(
      [CI_NETRC_MACHINE, CI_NETRC_USERNAME, CI_NETRC_PASSWORD],
      ["gitea.example.com", "ada", "clone-token"],
    );
    const names = Object.keys(orders.get("a")?.environment ?? {});
    assert.deepEqual(
      names.filter((name) => name.startsWith("CI_NETRC")),
      [],
    );
  });

  it("gives a step Woodpecker's variables, its own, and its secrets only", async () => {
    for (const name of ["mine", "other"]) {
      const secret = { name, value: `value of ${name}`, events: ["manual"] };
      assert.equal((await call("POST", "/repos/1/secrets", secret)).status, 200);
    }
    await run(`steps: [${step("a", ", directory: sub, environment: {X: {from_secret: mine}}")}]`);
    const { environment = {}, workspace, workingDirectory } = orders.get("a") ?? {};
    assert.equal(environment["X"], "value of mine");
    assert.ok(!JSON.stringify(environment).includes("value of other"));
    assert.equal(workspace, "/woodpecker/src/gitea.example.com/acme/app");
    assert.equal(workingDirectory, `${workspace}/sub`);
    const expected = {
      CI: "woodpecker",
      CI_REPO: "acme/app",
      CI_COMMIT_SHA: "abc123",
      CI_COMMIT_BRANCH: "main",
      CI_PIPELINE_EVENT: "manual",
      CI_PIPELINE_NUMBER: "1",
      CI_WORKFLOW_NAME: "woodpecker",
      CI_STEP_NAME: "a",
      CI_STEP_TYPE: "commands",
      CI_WORKSPACE: workspace,
      CI_PIPELINE_STATUS: "success",
      CI_PREV_PIPELINE_NUMBER: "0",
    };
    for (const [name, value] of Object.entries(expected))
      assert.equal(environment[name], value, name);
    assert.ok(Object.values(environment).every((value) => value !== ""));
    const others = Object.keys(environment).filter((name) => !/^CI(_|$)/.test(name));
    assert.deepEqual(others, ["X"]);
  });

  it("has a log for each step, with every secret of the repository masked", async () => {
    const secret = { name: "key", value: "first-line\nsecond-line", events: ["manual"] };
    await call("POST", "/repos/1/secrets", secret);
    await call("POST", "/repos/1/secrets", { name: "short", value: "abc", events: ["manual"] });
    behaviour["a"] = ({ onLine }) => {
      for (const line of ["the key: first-line!", "second-line", "abc"]) onLine(line);
      return 0;
    };
    const { number, workflows } = await run(`steps: [${step("a")}, ${step("b")}]`);
    const [, a, b] = workflows[0]?.children ?? [];
    assert.ok(a && b);
    assert.deepEqual(await log(number, a.id), ["the key: ********!", "********", "abc"]);
    assert.equal(await log(number, b.id), null);
    assert.equal((await call("GET", `/repos/1/logs/${number}/999`)).status, 404);
    assert.equal((await call("GET", `/repos/1/logs/9/${a.id}`)).status, 404);
    assert.equal((await call("GET", `/repos/1/logs/${number}/x`)).status, 400);
  });
});
