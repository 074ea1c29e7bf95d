import * as pulumi from "@pulumi/pulumi";
import { local } from "@pulumi/command";
import { RandomPassword } from "@pulumi/random";

/**
 * A program with resources of two plugins. The project's name says what its command does:
 * `secret=<value>` prints a secret, `environment` counts variables with a planted value, and `wait=<file>` writes into
 * the file what it is doing. It replaces the real program in tests of operations.
 */
export default function program(): Promise<Record<string, unknown>> {
  const name = new pulumi.Config().get("name") ?? "";
  const [word = "", value = ""] = name.split("=");
  const password = new RandomPassword("password", { length: 20 });
  const command = new local.Command("command", {
    create: COMMANDS[word] ?? "true",
    environment: {
      PASSWORD: password.result,
      PLANTED: pulumi.secret(word === "secret" ? value : ""),
      FILE: word === "wait" ? value : "",
    },
    triggers: [name],
  });
  const stdout = pulumi.unsecret(command.stdout);
  return Promise.resolve(word === "environment" ? { stdout } : {});
}

const COMMANDS: Readonly<Record<string, string>> = {
  secret: 'echo "$PLANTED"',
  // The values are secrets of the sandbox, which no state may hold.
  environment: "env | grep -c planted- || true",
  // The end of a cancelled or killed command is never reached.
  wait: 'echo "began $$" >> "$FILE"; while [ ! -e "$FILE.go" ]; do sleep 0.1; done; echo ended >> "$FILE"',
};
