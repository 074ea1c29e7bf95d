import assert from "node:assert/strict";
import { parsePlatformConfig } from "../../core/settings.ts";
import { PLATFORM } from "../support/platform.ts";
import { IDENTITY, SERVICE } from "../support/service-program.ts";

describe("the setting service", () => {
  const problemsOf = (service: object): string => {
    try {
      parsePlatformConfig({ ...PLATFORM, service: JSON.stringify(service) });
      return "";
    } catch (error) {
      return String(error);
    }
  };

  it("names every problem at once", () => {
    const text = problemsOf({
      host: "Infra",
      replicas: 0,
      trustedProxies: ["everywhere"],
      identity: { people: { issuer: "http://git.example.test", clientId: "c" } },
      backup: { recipients: ["me@example.test"], schedule: "daily", storageClass: "NFS" },
      replica: 3,
    });
    for (const part of [
      "rdev:service.image is missing",
      "rdev:service.host: is not a lower-case DNS name",
      "rdev:service.replicas",
      "rdev:service.trustedProxies.0: is not a network or an address",
      "rdev:service.identity.people.issuer: is not a URL that begins with https://",
      "rdev:service.backup.recipients.0: is not an age recipient (age1…)",
      "rdev:service.backup.schedule: is not a schedule of five fields",
      "rdev:service.backup.storageClass: is not a name of a Kubernetes object",
      "rdev:service.replica is not a setting",
    ]) {
      assert.ok(text.includes(part), `${part}\n${text}`);
    }
  });

  it("refuses a sign-in at another address than the host's", () => {
    assert.equal(problemsOf({ ...SERVICE, identity: IDENTITY }), "");
    const { people } = IDENTITY;
    const signIn = { publicUrl: "https://infra.example.test" };
    assert.match(
      problemsOf({ ...SERVICE, identity: { people: { ...people, signIn } } }),
      /rdev:service\.identity\.people\.signIn\.publicUrl: is not https:\/\/ with the service's host/,
    );
  });

  it("refuses a receiver of notifications at a host that could be a project's", () => {
    const notifications = {
      webhooks: [{ name: "ops", url: "https://hooks.staging.example.test/" }],
    };
    assert.match(
      problemsOf({ ...SERVICE, notifications }),
      /rdev:service.notifications: the host of "ops" could be a project's host name/,
    );
  });

  it("refuses a host that could be a project's, because the project would serve its visitors", () => {
    const host = `infra.${PLATFORM.domain}`;
    assert.match(problemsOf({ ...SERVICE, host }), /could be a project's host name/);
    for (const own of [SERVICE.host, "infra.example.test", `a.b.${PLATFORM.domain}`]) {
      assert.equal(problemsOf({ ...SERVICE, host: own }), "");
    }
  });
});
