import assert from "node:assert/strict";
import { execa } from "execa";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { runCli } from "../cli/run-cli.ts";
import { madeByHand } from "../support/by-hand.ts";
import { projects, succeeded } from "../support/stage.ts";

describe("rdev-infra destroy --remove of a project", function () {
  this.timeout(400_000);
  const project = projects();

  it("reports that nothing is left, what was kept, or what remains and where", async () => {
    const one = await project();
    const { organization, domain } = one.place;
    const destroy = async (...options: string[]) => {
      const where = ["--work-dir", one.workDir];
      const ran = await runCli(["destroy", one.stack, "--yes", "--remove", ...where, ...options]);
      assert.equal(ran.stderr, "");
      return { code: ran.code, last: ran.stdout.trim().split("\n").at(-1) };
    };

    succeeded(await one.up({ config: { retainRepository: "true" } }));
    assert.deepEqual(await destroy(), {
      code: 0,
      last: `kept on gitea: repository ${organization}/${one.slug}, archived`,
    });

    const { events } = succeeded(await one.up({ config: { retainRepository: "false" } }));
    const record = events.find((each) => "type" in each && each.type.endsWith("dns:Record"));
    assert.ok(record && "urn" in record && record.urn);
    const forget = ["state", "delete", record.urn, "--stack", one.stack, "--yes"];
    await execa("pulumi", forget, { cwd: one.workDir });
    const { ingressAddress } = await sandboxPlatform();
    const host = `${one.slug}.${domain}`;
    const remaining = await destroy("--json");
    assert.equal(remaining.code, 1);
    assert.deepEqual(JSON.parse(remaining.last ?? ""), {
      event: "remaining",
      stack: one.stack,
      remaining: [{ system: "dns", what: `record ${host} A ${ingressAddress}`, why: "left" }],
    });

    // The stack that made the record no longer exists, so no `up` adopts it. A person must remove it.
    const refused = await one.up();
    assert.deepEqual(
      refused.errors.map((error) => error.code),
      ["RDEV_NOT_OURS"],
    );
    await madeByHand(one).record.remove();
    succeeded(await one.up());
    const { code, last } = await destroy();
    assert.match(last ?? "", /^Nothing is left on gitea, woodpecker, .*, citadel\.$/);
    assert.equal(code, 0);
  });
});
