/**
 * A stand-in for GitHub with one pull request. It answers the calls that are used as in the
 * documentation. Comments: https://docs.github.com/rest/issues/comments (30 a page, at most
 * 100); pages: https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api;
 * statuses: https://docs.github.com/rest/commits/statuses; errors: https://docs.github.com/
 * rest/using-the-rest-api/troubleshooting-the-rest-api. The limit of a comment is only
 * documented by an answer: https://github.com/easybuilders/easybuild-easyconfigs/pull/24647.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { createStandIn, listen, type StandIn } from "../../sandbox/stand-in.ts";

const MAX_BODY = 65_536;
const MAX_DESCRIPTION = 140;

/** The account of a token. A writer may also edit and delete the comments of others. */
export interface Account {
  readonly login: string;
  readonly mayWrite: boolean;
}

interface GithubComment {
  readonly id: number;
  readonly body: string;
  readonly user: { readonly login: string };
}

interface GithubStatus {
  readonly sha: string;
  readonly state: string;
  readonly context: string;
  readonly description: string;
}

export interface GithubReview {
  readonly id: number;
  readonly user: { readonly login: string; readonly type: string } | null;
  readonly state: string;
  readonly commit_id: string;
}

export interface FakeGithub extends StandIn {
  /** Oldest first. Tests may replace it. */
  comments: GithubComment[];
  /** Latest last. */
  readonly statuses: GithubStatus[];
  /** Tests may replace it. */
  reviews: GithubReview[];
  /** The permissions of accounts, by name. */
  permissions: Readonly<Record<string, string>>;
  /** The head commit of the pull request's branch. */
  head: string;
  add(login: string, body: string): GithubComment;
}

/** A stand-in for GitHub with the pull request `acme/infra#7`. */
export async function startGithub(
  accounts: Readonly<Record<string, Account>>,
): Promise<FakeGithub> {
  const { app, misbehave } = createStandIn({ bodyLimit: 20 * 1024 * 1024 });
  const repository = "/repos/acme/infra";
  let made = 1_000;
  const account = ({ headers }: FastifyRequest) =>
    accounts[headers.authorization?.replace(/^Bearer /, "") ?? ""]!;

  app.addHook("onRequest", async (request, reply) => {
    if (!request.headers["user-agent"]) return refuse(reply, 403, "Request forbidden");
    const known = account(request);
    if (!known) return refuse(reply, 401, "Bad credentials");
    if (request.method !== "GET" && !known.mayWrite) {
      return refuse(reply, 403, "Resource not accessible by integration");
    }
  });
  app.setNotFoundHandler((_request, reply) => refuse(reply, 404, "Not Found"));

  app.get(`${repository}/pulls/7`, async () => ({
    number: 7,
    state: "open",
    user: { login: "mallory" },
    head: { sha: github.head },
    base: { ref: "main" },
  }));

  // https://docs.github.com/rest/pulls/reviews
  app.get(`${repository}/pulls/7/reviews`, async (request, reply) =>
    onePage(request, reply, github.reviews),
  );

  // https://docs.github.com/rest/collaborators/collaborators
  app.get(`${repository}/collaborators/:login/permission`, async (request, reply) => {
    const { login } = request.params as { login: string };
    const permission = github.permissions[login];
    return permission ? { permission } : refuse(reply, 404, "Not Found");
  });

  app.get(`${repository}/issues/7/comments`, async (request, reply) =>
    onePage(request, reply, github.comments),
  );

  app.post(`${repository}/issues/7/comments`, async (request, reply) => {
    const { body } = request.body as { body: string };
    if (body.length > MAX_BODY) return tooLong(reply, "IssueComment", "data", "Body", MAX_BODY);
    return reply.code(201).send(github.add(account(request).login, body));
  });

  app.patch(`${repository}/issues/comments/:id`, async (request, reply) => {
    const { body } = request.body as { body: string };
    const found = github.comments.find(({ id }) => id === idOf(request));
    if (!found) return refuse(reply, 404, "Not Found");
    if (body.length > MAX_BODY) return tooLong(reply, "IssueComment", "data", "Body", MAX_BODY);
    github.comments = github.comments.map((each) => (each === found ? { ...each, body } : each));
    return { ...found, body };
  });

  app.delete(`${repository}/issues/comments/:id`, async (request, reply) => {
    const left = github.comments.filter(({ id }) => id !== idOf(request));
    if (left.length === github.comments.length) return refuse(reply, 404, "Not Found");
    github.comments = left;
    return reply.code(204).send();
  });

  app.post(`${repository}/statuses/:sha`, async (request, reply) => {
    const { sha } = request.params as { sha: string };
    const status = request.body as Omit<GithubStatus, "sha">;
    if (status.description.length > MAX_DESCRIPTION) {
      return tooLong(reply, "Status", "description", "description", MAX_DESCRIPTION);
    }
    github.statuses.push({ ...status, sha });
    return reply.code(201).send({ ...status, creator: { login: account(request).login } });
  });

  const github: FakeGithub = {
    url: await listen(app),
    misbehave,
    comments: [],
    statuses: [],
    reviews: [],
    permissions: {},
    head: "",
    add(login, body) {
      const comment = { id: (made += 1), body, user: { login } };
      github.comments = [...github.comments, comment];
      return comment;
    },
    close: () => app.close(),
  };
  return github;
}

/** The entries of one page, with the links to the others in a header. */
function onePage<T>(request: FastifyRequest, reply: FastifyReply, entries: readonly T[]): T[] {
  const query = request.query as { page?: string; per_page?: string };
  const size = Math.min(Number(query.per_page ?? 30), 100);
  const page = Number(query.page ?? 1);
  const last = Math.max(1, Math.ceil(entries.length / size));
  const path = request.url.replace(/\?.*/, "");
  const link = (rel: string, to: number) =>
    `<http://${request.host}${path}?per_page=${size}&page=${to}>; rel="${rel}"`;
  const links = [
    ...(page > 1 ? [link("prev", page - 1), link("first", 1)] : []),
    ...(page < last ? [link("next", page + 1), link("last", last)] : []),
  ];
  if (links.length > 0) void reply.header("link", links.join(", "));
  return entries.slice((page - 1) * size, page * size);
}

function idOf(request: FastifyRequest): number {
  return Number((request.params as { id: string }).id);
}

function refuse(reply: FastifyReply, status: number, message: string, more: object = {}) {
  return reply.code(status).send({ message, ...more, status: String(status) });
}

function tooLong(
  reply: FastifyReply,
  resource: string,
  field: string,
  what: string,
  limit: number,
) {
  const message = `${what} is too long (maximum is ${limit} characters)`;
  const errors = [{ resource, code: "unprocessable", field, message }];
  return refuse(reply, 422, "Validation Failed", { errors });
}
