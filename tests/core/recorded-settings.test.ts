import assert from "node:assert/strict";
import {
  changeSettings,
  DATABASE,
  differenceText,
  keptByDestroy,
  REPOSITORY,
  SETTINGS_RECORD,
  settingsDifferences,
  settingsInState,
} from "../../core/recorded-settings.ts";
import { thrown } from "../support/errors.ts";

const SETTINGS = { name: "Shop", sizes: { replicas: 3 }, retainData: true };
const record = (settings: unknown) => ({ type: SETTINGS_RECORD, outputs: { settings } });
const retained = (type: string) => ({ type, outputs: { retain: true } });

describe("the settings that a stack's state records", () => {
  it("are those of the last up, whatever was known before", () => {
    assert.deepEqual(settingsInState([record(SETTINGS)], { name: "Old" }), SETTINGS);
    assert.deepEqual(settingsInState([record({}), retained(DATABASE)], { name: "Old" }), {});
  });

  it("of a stack without a record are those known before, and what its resources keep", () => {
    assert.deepEqual(settingsInState([], SETTINGS), SETTINGS);
    assert.deepEqual(
      settingsInState([retained(DATABASE), retained(REPOSITORY)], { name: "Shop" }),
      {
        ...{ name: "Shop", retainData: true, retainRepository: true },
      },
    );
  });

  it("are an error where this version cannot read them, and not lost", () => {
    const error = thrown("RDEV_SETTINGS", () => settingsInState([record({ region: "eu" })]));
    assert.ok(error.message.includes("rdev:region is no setting"), error.message);
  });

  it("say what a destroy keeps: what they or the resources keep", () => {
    const both = { retainData: true, retainRepository: true };
    const neither = { retainData: false, retainRepository: false };
    assert.deepEqual(keptByDestroy([record(both)]), both);
    assert.deepEqual(keptByDestroy([record({}), retained(DATABASE), retained(REPOSITORY)]), both);
    assert.deepEqual(keptByDestroy([], both), both);
    assert.deepEqual(keptByDestroy([record({})], both), neither);
  });
});

describe("a change of settings", () => {
  it("changes what it names and nothing else, sizes one by one", () => {
    const changes = { name: "The Shop", sizes: { memoryLimit: "512Mi" } };
    assert.deepEqual(changeSettings(SETTINGS, changes), {
      ...{ name: "The Shop", sizes: { replicas: 3, memoryLimit: "512Mi" }, retainData: true },
    });
    assert.deepEqual(changeSettings(SETTINGS, {}), SETTINGS);
    assert.deepEqual(changeSettings({}, {}), {});
  });

  it("is told setting by setting", () => {
    const after = { name: "Shop", sizes: { replicas: 2 }, retainRepository: false };
    assert.deepEqual(settingsDifferences(SETTINGS, after).map(differenceText), [
      "retainData: true → the default",
      "retainRepository: the default → false",
      "sizes.replicas: 3 → 2",
    ]);
    assert.deepEqual(settingsDifferences(SETTINGS, SETTINGS), []);
  });
});
