import * as pulumi from "@pulumi/pulumi";
import { Webhook } from "../providers/citadel/webhook.ts";

export interface AlertWebhookArgs {
  /** Where Citadel sends its alerts. */
  readonly url: string;
  /** Raise it after rotating CITADEL_WEBHOOK_SECRET. */
  readonly credentialsVersion: number;
}

/**
 * Citadel tells this address of new, rising or returning errors, signed with CITADEL_WEBHOOK_SECRET
 * (see `verifyCitadelSignature`). Delete leaves it: Citadel's API deletes no webhook.
 */
export class AlertWebhook extends pulumi.ComponentResource {
  constructor(name: string, args: AlertWebhookArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:AlertWebhook", name, {}, options);

    const { url, credentialsVersion } = args;
    new Webhook(name, { url, credentialsVersion }, { parent: this });

    this.registerOutputs({});
  }
}
