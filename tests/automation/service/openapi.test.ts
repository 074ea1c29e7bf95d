import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import fc from "fast-check";
import {
  decodeCursor,
  encodeCursor,
  type ListName,
} from "../../../automation/service/schemas/page.ts";
import { openApiDocument } from "../../../automation/service/openapi-document.ts";
import { problemOf } from "../../../automation/service/problem.ts";
import { problemSchema } from "../../../automation/service/schemas/problem.ts";
import { ERROR_CODES, type ErrorCode, InfraError } from "../../../core/errors.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: string[];
  readonly responses: Record<string, unknown>;
}

describe("the OpenAPI document", () => {
  it("is up to date; if not: npm run openapi", async () => {
    const file = readFileSync(`${ROOT}docs/openapi.json`, "utf8");
    assert.equal(file, await openApiDocument());
  });

  it("passes the linter without a warning", async function () {
    this.timeout(400_000);
    const arguments_ = [
      "lint",
      "--config",
      "redocly.yaml",
      "--format",
      "json",
      "docs/openapi.json",
    ];
    const { stdout } = await execa("redocly", arguments_, {
      cwd: ROOT,
      preferLocal: true,
      env: { REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" },
    });
    const { totals } = JSON.parse(stdout) as { totals: Record<string, number> };
    assert.deepEqual([totals["errors"], totals["warnings"]], [0, 0], stdout);
  });

  it("describes every route and its problems", async () => {
    const { paths } = JSON.parse(await openApiDocument()) as {
      paths: Record<string, Record<string, Operation>>;
    };
    const all = Object.values(paths).flatMap((methods) => Object.values(methods));
    assert.equal(new Set(all.map(({ operationId }) => operationId)).size, all.length);
    for (const { operationId, summary, tags, responses } of all) {
      assert.ok(operationId && summary && tags?.length, operationId);
      for (const kind of [/^[23]/, /^[45]/]) {
        assert.ok(
          Object.keys(responses).some((status) => kind.test(status)),
          operationId,
        );
      }
    }
  });
});

describe("a cursor", () => {
  const slug = fc.stringMatching(/^[a-z][a-z0-9]{2,39}$/);
  const lasts: Record<ListName, fc.Arbitrary<string>> = {
    project: slug.filter(
      (text) => decodeCursor("project", encodeCursor("project", text)) !== undefined,
    ),
    drift: slug.filter((text) => decodeCursor("drift", encodeCursor("drift", text)) !== undefined),
    operation: fc.uuid(),
    rollout: fc.uuid(),
    "rollout-request": fc.uuid(),
    notification: fc
      .tuple(fc.uuid(), fc.stringMatching(/^[a-z][a-z0-9-]{0,39}$/))
      .map((parts) => parts.join(" ")),
    audit: fc.integer({ min: 1, max: 2 ** 40 }).map(String),
    log: fc
      .tuple(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }), fc.uuid())
      .map(([at, id]) => `${at.toISOString()} ${id}`),
  };

  for (const of of Object.keys(lasts) as ListName[]) {
    it(`of a list of ${of}s is decoded to what was encoded`, () => {
      fc.assert(
        fc.property(lasts[of], (last) => decodeCursor(of, encodeCursor(of, last)) === last),
      );
    });
  }

  it("of another list, or any other text, is refused", () => {
    const other = fc.oneof(
      fc.string(),
      fc.base64String(),
      lasts.audit.map((id) => encodeCursor("audit", id)),
    );
    fc.assert(fc.property(other, (text) => decodeCursor("project", text) === undefined));
  });
});

describe("a problem", () => {
  const id = "5b0f0f5e-6a44-4f0e-9d3c-0b7b6b7d1a55";
  const code = fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorCode[]));

  it("is made from any thrown value, and shows nothing internal", () => {
    const secret = "s3cr3t-inside";
    const thrown = fc.oneof(
      fc.anything().filter((value) => value !== null && value !== undefined),
      code.map((one) => new InfraError(one, secret)),
      fc
        .integer({ min: 100, max: 999 })
        .map((statusCode) => Object.assign(new Error(secret), { statusCode })),
    );
    fc.assert(
      fc.property(thrown, (error) => {
        const problem = problemSchema.parse(problemOf(error, { id }));
        assert.ok(problem.status >= 400 && problem.status <= 599);
        if (problem.status >= 500) assert.ok(!JSON.stringify(problem).includes(secret));
      }),
    );
  });
});
