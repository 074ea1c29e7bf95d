import assert from "node:assert/strict";
import {
  completeProjectSettings,
  parsePlatformConfig,
  parseProjectConfig,
  projectSizes,
} from "../../core/settings.ts";
import { DEFAULT_SIZES } from "../../core/sizes.ts";
import { thrown } from "../support/errors.ts";
import { PLATFORM } from "../support/platform.ts";

const platform = (settings: object = {}) =>
  parsePlatformConfig({
    ...PLATFORM,
    ...Object.fromEntries(
      Object.entries(settings).map(([key, value]) => [key, JSON.stringify(value)]),
    ),
  });
const project = (sizes: object) =>
  completeProjectSettings(parseProjectConfig({ sizes: JSON.stringify(sizes) }));

describe("projectSizes", () => {
  it("returns the platform's sizes, overridden by the project's", () => {
    const sizes = projectSizes(platform({ sizes: { replicas: 3 } }), project({ cpuLimit: "600m" }));
    assert.deepEqual(sizes, { ...DEFAULT_SIZES, replicas: 3, cpuLimit: "600m" });
  });

  it("refuses all sizes above the platform's ceilings in one error", () => {
    const error = thrown("RDEV_SETTINGS", () =>
      projectSizes(
        platform({ maxSizes: { replicas: 2, databaseConnections: 50, cpuLimit: "750m" } }),
        project({
          replicas: 3,
          databaseConnections: 51,
          cpuLimit: "0.8",
          cpuRequest: "1",
          memoryQuota: "4000Gi",
        }),
      ),
    );
    for (const line of [
      "rdev:sizes.replicas: is above the platform's rdev:maxSizes.replicas, which is 2, instead got 3",
      "rdev:maxSizes.databaseConnections, which is 50, instead got 51",
      'rdev:maxSizes.cpuLimit, which is 750m, instead got "0.8"',
      'rdev:maxSizes.memoryQuota, which is 256Gi, instead got "4000Gi"',
    ]) {
      assert.ok(error.message.includes(line), `${line} in ${error.message}`);
    }
    assert.ok(!error.message.includes("cpuRequest"));
  });

  it("refuses quotas that are too small for the replicas, with all that is above a ceiling", () => {
    const wanted = { replicas: 8, memoryLimit: "256Mi", podQuota: 7, databaseConnections: 51 };
    const error = thrown("RDEV_SETTINGS", () =>
      projectSizes(platform({ maxSizes: { databaseConnections: 50 } }), project(wanted)),
    );
    for (const line of [
      "rdev:sizes.podQuota: is 7, too small for 8 replicas\n",
      "rdev:sizes.cpuQuota: is 2, too small for 8 replicas, each with the cpuLimit 500m",
      "rdev:sizes.memoryQuota: is 1Gi, too small for 8 replicas, each with the memoryLimit 256Mi",
      "rdev:maxSizes.databaseConnections, which is 50, instead got 51",
    ]) {
      assert.ok(error.message.includes(line), `${line} in ${error.message}`);
    }
    assert.ok(!error.message.includes("ephemeralStorageQuota"));
  });

  it("permits replicas that fill the quotas, also as fractions", () => {
    projectSizes(platform(), project({ replicas: 3, cpuLimit: "100m", cpuQuota: "0.3" }));
    projectSizes(platform(), project({ replicas: 0, cpuLimit: "3" }));
  });

  it("permits sizes equal to the ceilings, whatever the unit", () => {
    const limits = platform({ maxSizes: { memoryLimit: "1Gi", cpuLimit: "1" } });
    projectSizes(limits, project({ memoryLimit: "1024Mi", cpuLimit: "1000m" }));
  });

  it("uses default ceilings if the platform sets none, raised by the platform's sizes", () => {
    const big = { memoryQuota: "300Gi" };
    thrown("RDEV_SETTINGS", () => projectSizes(platform(), project(big)));
    projectSizes(platform({ sizes: { memoryQuota: "512Gi" } }), project(big));
  });

  it("refuses a platform whose own sizes are above its ceilings", () => {
    const error = thrown("RDEV_SETTINGS", () =>
      platform({ maxSizes: { memoryLimit: "128Mi" }, sizes: { replicas: 2 } }),
    );
    assert.match(error.message, /maxSizes\.memoryLimit, which is 128Mi, instead got "256Mi"/);
  });
});
