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

describe("settingsInState", () => {
  it("returns the settings of the last up, whatever the former settings are", () => {
    assert.deepEqual(settingsInState([record(SETTINGS)], { name: "Old" }), SETTINGS);
    assert.deepEqual(settingsInState([record({}), retained(DATABASE)], { name: "Old" }), {});
  });

  it("returns the former settings and those of the resources if there is no record", () => {
    assert.deepEqual(settingsInState([], SETTINGS), SETTINGS);
    assert.deepEqual(
      settingsInState([retained(DATABASE), retained(REPOSITORY)], { name: "Shop" }),
      { name: "Shop", retainData: true, retainRepository: true },
    );
  });

  it("throws if this version cannot read the record", () => {
    const error = thrown("RDEV_SETTINGS", () => settingsInState([record({ region: "eu" })]));
    assert.ok(error.message.includes("rdev:region is not a setting"), error.message);
  });

  it("tells keptByDestroy what to keep, as do the resources", () => {
    const both = { retainData: true, retainRepository: true };
    const neither = { retainData: false, retainRepository: false };
    assert.deepEqual(keptByDestroy([record(both)]), both);
    assert.deepEqual(keptByDestroy([record({}), retained(DATABASE), retained(REPOSITORY)]), both);
    assert.deepEqual(keptByDestroy([], both), both);
    assert.deepEqual(keptByDestroy([record({})], both), neither);
  });
});

describe("changeSettings", () => {
  it("changes only the named settings, and sizes one by one", () => {
    const changes = { name: "The Shop", sizes: { memoryLimit: "512Mi" } };
    assert.deepEqual(changeSettings(SETTINGS, changes), {
      name: "The Shop",
      sizes: { replicas: 3, memoryLimit: "512Mi" },
      retainData: true,
    });
    assert.deepEqual(changeSettings(SETTINGS, {}), SETTINGS);
    assert.deepEqual(changeSettings({}, {}), {});
  });

  it("makes differences that are listed setting by setting", () => {
    const labels = { team: "shop" };
    const after = { name: "Shop", sizes: { replicas: 2 }, retainRepository: false, labels };
    assert.deepEqual(settingsDifferences(SETTINGS, after).map(differenceText), [
      'labels.team: the default → "shop"',
      "retainData: true → the default",
      "retainRepository: the default → false",
      "sizes.replicas: 3 → 2",
    ]);
    assert.deepEqual(settingsDifferences(SETTINGS, SETTINGS), []);
    assert.deepEqual(settingsDifferences({ labels }, { labels: { ...labels } }), []);
  });
});
