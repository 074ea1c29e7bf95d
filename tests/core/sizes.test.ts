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
    const sizes = projectSizes(platform({ sizes: { replicas: 3 } }), project({ cpuLimit: "1" }));
    assert.deepEqual(sizes, { ...DEFAULT_SIZES, replicas: 3, cpuLimit: "1" });
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
