import * as pulumi from "@pulumi/pulumi";
import { Thing } from "./engine-folder.ts";

/**
 * A program whose behaviour depends on the project's name, such as `slow=3000` or `fail=why`. It
 * replaces the real program in tests of operations.
 */
export default function program(): Promise<Record<string, unknown>> {
  const name = new pulumi.Config().get("name") ?? "";
  const [word, value] = name.split("=");
  new Thing("first");
  if (word === "slow") new Thing("slow", { ms: Number(value) });
  // A cut after 8,000 characters would split the emoji.
  if (word === "emoji") new Thing("bad", { failure: `${"x".repeat(7_999)}😀` });
  if (word === "nul") new Thing("bad", { failure: "a\0b" });
  if (word === "fail") new Thing("bad", { failure: value ?? "" });
  if (word === "slow-fail")
    new Thing("bad", { failure: "no", other: new Thing("slow", { ms: Number(value) }).urn });
  if (word === "memory") {
    hog.push(...Array.from({ length: Number(value) }, () => megabyte()));
    new Thing("slow", { ms: 5_000 });
  }
  return Promise.resolve({ name, key: pulumi.secret(process.env["GITEA_TOKEN"]) });
}

const hog: Buffer[] = [];

function megabyte(): Buffer {
  return Buffer.alloc(2 ** 20, 1);
}
