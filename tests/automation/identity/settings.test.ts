import assert from "node:assert/strict";
import { parseIdentitySettings } from "../../../automation/identity/settings.ts";
import { thrown } from "../../support/errors.ts";

const FILE = { file: "identity.yaml", sessionKey: "a session key of 32 characters!!" };

const WHOLE = `
people:
  issuer: https://git.example.com
  clientId: f3b2
  roles:
    - { group: platform, role: admin }
    - { group: "shop:developers", role: operator, project: shop }
  signIn: { publicUrl: https://infra.example.com }
serviceAccounts:
  roles:
    - { account: ci/deployer, role: operator, project: shop }
`;

describe("the settings of identities", () => {
  it("have defaults", () => {
    const { people, serviceAccounts } = parseIdentitySettings(WHOLE, FILE);
    assert.deepEqual(people?.roles, [
      { group: "platform", role: "admin", project: null },
      { group: "shop:developers", role: "operator", project: "shop" },
    ]);
    assert.deepEqual([people?.groupsClaim, people?.nameClaim], ["groups", "preferred_username"]);
    assert.equal(people?.signIn?.sessionHours, 8);
    assert.equal(serviceAccounts?.audience, "rdev-infra");
    assert.deepEqual(parseIdentitySettings("", FILE), {});
  });

  it("name every problem in one error, but no secret", () => {
    const text = `
people:
  issuer: http://git.example.com
  roles:
    - { group: platform, role: owner }
    - { group: "", role: viewer, project: Shop }
  signIn:
    publicUrl: https://infra.example.com/path
    clientSecret: planted-secret
    sessionHours: 48
serviceAccounts:
  audience: ""
  roles:
    - { account: deployer, role: operator }
extra: 1
`;
    const error = thrown("RDEV_IDENTITY", () =>
      parseIdentitySettings(text, { file: "identity.yaml", sessionKey: undefined }),
    );
    for (const line of [
      "people.issuer: is not a URL that begins with https://",
      "people.clientId: ",
      "people.roles.0.role: ",
      "people.roles.1.group: ",
      "people.roles.1.project: is not a project's slug",
      "people.signIn.publicUrl: is not an origin without a path",
      "people.signIn.sessionHours: ",
      "people.signIn: Unrecognized key",
      "people.signIn: needs the variable RDEV_INFRA_SESSION_KEY, which is missing",
      "serviceAccounts.audience: ",
      "serviceAccounts.roles.0.account: is not <namespace>/<name>",
      "the file: Unrecognized key",
    ]) {
      assert.ok(error.message.includes(`  - ${line}`), `${line} is not in\n${error.message}`);
    }
    assert.doesNotMatch(error.message, /planted-secret/);
  });

  it("name the line that is not YAML", () => {
    const error = thrown("RDEV_IDENTITY", () => parseIdentitySettings("people:\n  - a: [", FILE));
    assert.match(error.message, /identity.yaml, line \d, is neither YAML nor JSON/);
  });

  it("permit plain HTTP on this machine only", () => {
    const local = WHOLE.replace("https://git.example.com", "http://127.0.0.1:3000");
    assert.equal(parseIdentitySettings(local, FILE).people?.issuer, "http://127.0.0.1:3000");
  });
});
