import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { ADOPTIONS } from "../automation/adopt/look-up.ts";
import { LEFTOVER_PROBES } from "../automation/leftovers.ts";
import { workerEnvironment } from "../automation/worker/environment.ts";
import { CONNECTIONS } from "../core/connection-schemas.ts";
import { connection, connectionSecrets, type ConnectionName } from "../core/connections.ts";
import { findings, parseBlockRules } from "../core/previews/policies.ts";
import { OWN_CONNECTIONS, SYSTEMS, systemsWithProjects } from "../core/systems.ts";
import { SEARCHED_SYSTEMS } from "../sandbox/proofs/left-on-servers.ts";
import { step } from "./core/previews/steps.ts";

const root = new URL("..", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

const systems = Object.entries(SYSTEMS).map(([name, system]) => ({
  name,
  connections: system.connections,
  variables: Object.entries(
    system.variables as Record<string, { isSecret?: true; isServiceOnly?: true }>,
  ),
  resources: Object.entries(system.resources as Record<string, string>),
}));

/** Folders below providers/ that are no systems. */
const SHARED_FOLDERS = ["dynamic", "git"];

/** Connections that only some uses need. */
const RARE_CONNECTIONS: readonly ConnectionName[] = [
  "giteaComments",
  "giteaTemplates",
  "githubComments",
  "registryTokens",
  "citadelWebhook",
];

const POLICY_FILE = "core/previews/policies.ts";

/** Fails with one line for each thing that was forgotten. */
function assertComplete(problems: readonly string[]): void {
  assert.ok(problems.length === 0, problems.join("\n"));
}

/** The variables that the schema of a connection reads. */
function variablesOf(name: ConnectionName): string[] {
  const names = new Set<string>();
  for (const provider of ["powerdns", "cloudflare"]) {
    const environment = new Proxy<Record<string, string>>(
      {},
      {
        get(_target, key) {
          if (typeof key === "string" && /^[A-Z][A-Z0-9_]*$/.test(key)) names.add(key);
          return key === "DNS_PROVIDER" ? provider : undefined;
        },
      },
    );
    try {
      connection(name, environment);
    } catch {
      // Every value is missing: only the names count.
    }
  }
  return [...names];
}

/** The variables without which the connections that every stack uses cannot be read. */
function missingVariables(
  names: readonly ConnectionName[],
  environment: Readonly<Record<string, string>>,
): string[] {
  return names
    .filter((name) => !RARE_CONNECTIONS.includes(name))
    .flatMap((name) => {
      try {
        connection(name, environment);
        return [];
      } catch (error) {
        return [...(error as Error).message.matchAll(/- ([A-Z0-9_]+) is missing/g)];
      }
    })
    .map(([, variable = ""]) => variable);
}

describe("the list of systems", () => {
  it("contains every folder of providers/", () => {
    const folders = globSync("*/", { cwd: new URL("providers/", root) });
    const unknown = folders.filter(
      (folder) => !(folder in SYSTEMS) && !SHARED_FOLDERS.includes(folder),
    );
    assertComplete(
      unknown.map((name) => `system "${name}" is not declared: add it to core/systems.ts`),
    );
  });

  it("has a resource and its test for every system that holds objects of projects", () => {
    assertComplete(
      systemsWithProjects().flatMap((name) => [
        ...(Object.keys(SYSTEMS[name].resources).length > 0
          ? []
          : [`system "${name}" has no resource: add one to providers/${name} and core/systems.ts`]),
        ...(globSync(`tests/providers/${name}{-*,}.sandbox.test.ts`, { cwd: root }).length > 0
          ? []
          : [`system "${name}" has no test: add tests/providers/${name}.sandbox.test.ts`]),
      ]),
    );
  });

  it("is searched for leftovers by the tests, which do not trust the leftover probes", () => {
    assertComplete(
      systemsWithProjects()
        .filter((name) => !SEARCHED_SYSTEMS.includes(name))
        .map(
          (name) =>
            `system "${name}" is not searched: add it to SEARCHES in sandbox/proofs/left-on-servers.ts`,
        ),
    );
  });

  it("has a preview's warning for every resource whose data is lost with it", () => {
    const context = { secrets: [], isProject: true, rules: parseBlockRules("none") };
    assertComplete(
      systems
        .flatMap(({ resources }) => resources)
        // Only what holds data can be retained.
        .filter(([module]) => /^ +retain: z\b/m.test(read(`providers/${module}.ts`)))
        .map(([, type]) => `pulumi-nodejs:dynamic/${type}`)
        .filter((type) => findings([step(type, "delete", {})], context).length === 0)
        .map((type) => `"${type}" is deleted without a warning: add it to DATA in ${POLICY_FILE}`),
    );
    const types = [...read(POLICY_FILE).matchAll(/"pulumi-nodejs:dynamic\/(\S+)":/g)];
    assertComplete(
      types
        .map(([, type = ""]) => type)
        .filter((type) => !systems.some((system) => system.resources.some(([, t]) => t === type)))
        .map((type) => `${POLICY_FILE} names "${type}", which is no resource in core/systems.ts`),
    );
  });

  it("has a leftover probe for every system that holds objects of projects", () => {
    assertComplete(
      systemsWithProjects().flatMap((name) => {
        const file = `providers/${name}/leftovers.ts`;
        if (!existsSync(new URL(file, root))) {
          return `system "${name}" has no leftover probe: add ${file}`;
        }
        return LEFTOVER_PROBES[name]
          ? []
          : `system "${name}" has a leftover probe that nobody asks: add it to automation/leftovers.ts`;
      }),
    );
  });

  it("can be adopted from on every system that holds objects of projects", () => {
    assertComplete(
      systemsWithProjects()
        .filter((name) => !ADOPTIONS[name])
        .map(
          (name) =>
            `system "${name}" has no adoption: add providers/${name}/adoption.ts, and it to automation/adopt/look-up.ts`,
        ),
    );
  });

  it("assigns every connection to a system or to rdev-infra itself", () => {
    const declared = new Set<string>([
      ...OWN_CONNECTIONS,
      ...systems.flatMap(({ connections }) => connections),
    ]);
    const names = Object.keys(CONNECTIONS);
    assertComplete([
      ...names
        .filter((name) => !declared.has(name))
        .map((name) => `connection "${name}" belongs to no system: add it to core/systems.ts`),
      ...[...declared]
        .filter((name) => !names.includes(name))
        .map(
          (name) =>
            `connection "${name}" has no schema: add it to CONNECTIONS in core/connection-schemas.ts`,
        ),
    ]);
  });

  for (const { name, connections, variables, resources } of systems) {
    describe(name, () => {
      it("declares every variable that its connections read, and no other", () => {
        const found = new Set(connections.flatMap(variablesOf));
        const declared = variables.map(([variable]) => variable);
        assertComplete([
          ...[...found]
            .filter((variable) => !declared.includes(variable))
            .map((variable) => `system "${name}" reads ${variable}: declare it in core/systems.ts`),
          ...declared
            .filter((variable) => !found.has(variable))
            .map(
              (variable) =>
                `system "${name}" declares ${variable}, which no schema of its connections in core/connection-schemas.ts reads`,
            ),
        ]);
      });

      it("passes to workers exactly what it declares for them", () => {
        const all = Object.fromEntries(variables.map(([variable]) => [variable, "value"]));
        const passed = workerEnvironment("mark", 100, all);
        assertComplete(
          variables
            .filter(([variable, { isServiceOnly }]) => !!isServiceOnly === variable in passed)
            .map(([variable, { isServiceOnly }]) =>
              isServiceOnly
                ? `system "${name}": a worker can see ${variable}: exclude it in automation/worker/environment.ts`
                : `system "${name}": a worker cannot see ${variable}: add it to automation/worker/environment.ts`,
            ),
        );
      });

      it("has its secrets removed from errors and logs", () => {
        assertComplete(
          variables
            .filter(([, { isSecret }]) => isSecret)
            .filter(([variable]) => {
              const value = variable.endsWith("_URL") ? "x://user:planted@host" : "planted";
              return !connectionSecrets({ [variable]: value }).includes("planted");
            })
            .map(
              ([variable]) =>
                `system "${name}": ${variable} is not removed from errors: see connectionSecrets in core/connections.ts`,
            ),
        );
      });

      it("has every variable in the table of variables", () => {
        const text = read("docs/reference.md");
        assertComplete(
          variables
            .filter(([variable]) => !text.includes(`\`${variable}\``))
            .map(
              ([variable]) => `system "${name}": docs/reference.md does not describe ${variable}`,
            ),
        );
      });

      it("declares the module and type of every dynamic resource", () => {
        const found = globSync(`providers/${name}/*.ts`, { cwd: root }).flatMap((file) => {
          const [, module, type] =
            /define\(\{\s*module: "([^"]+)",\s*type: "([^"]+)"/.exec(read(file)) ?? [];
          if (module === undefined || type === undefined) return [];
          assert.equal(`providers/${module}.ts`, file, "states would load another module");
          return [`"${module}": "${type}"`];
        });
        const declared = resources.map(([module, type]) => `"${module}": "${type}"`);
        assertComplete([
          ...found
            .filter((resource) => !declared.includes(resource))
            .map(
              (resource) => `system "${name}" lacks the resource ${resource} in core/systems.ts`,
            ),
          ...declared
            .filter((resource) => !found.includes(resource))
            .map((resource) => `no file of providers/${name}/ defines the resource ${resource}`),
        ]);
      });

      it("gets its required variables from the sandbox", () => {
        const sources = globSync("sandbox/**/*.ts", { cwd: root }).map(read).join("\n");
        assertComplete(
          missingVariables(connections, { DNS_PROVIDER: "powerdns" })
            .filter((variable) => !sources.includes(variable))
            .map((variable) => `system "${name}": sandbox/sandbox.ts does not set ${variable}`),
        );
      });

      for (const pipeline of [".woodpecker/preview.yml", ".github/workflows/preview.yml"]) {
        it(`gets its required variables from ${pipeline}`, () => {
          const passed = read(pipeline).matchAll(/^ +([A-Z][A-Z0-9_]*): (.+)$/gm);
          const environment = Object.fromEntries(
            [...passed].map(([, key = "", value = ""]) => [key, value]),
          );
          assertComplete(
            missingVariables(connections, environment).map(
              (variable) => `system "${name}": the step "preview" in ${pipeline} lacks ${variable}`,
            ),
          );
        });
      }
    });
  }
});
