import { z } from "zod";

export const deliveryState = z.enum(["waiting", "given-up"]).meta({
  description:
    "`waiting`: the receiver has not taken it yet. `given-up`: it is not sent again by itself.",
});

export type DeliveryState = z.output<typeof deliveryState>;

/** A notification for one receiver. The event's data is left out: it can name every project. */
export const delivery = z
  .object({
    id: z
      .uuid()
      .meta({ description: "The notification's id, which is the same for all receivers." }),
    receiver: z.string().meta({ description: "Its name in the settings." }),
    state: deliveryState,
    kind: z.string().meta({ examples: ["operation.failed"] }),
    subject: z.string().meta({ examples: ["projects/my-app"] }),
    at: z.iso.datetime().meta({ description: "When it was announced." }),
    attempts: z.int(),
    reason: z.string().optional().meta({ description: "Why the last attempt failed." }),
    givenUpAt: z.iso.datetime().optional(),
  })
  .meta({
    id: "NotificationDelivery",
    description: "A notification that a receiver has not taken.",
  });

export type Delivery = z.output<typeof delivery>;

export const resent = z
  .object({
    resent: z.int().meta({
      description: "How many are sent again. A notification counts once for each receiver.",
    }),
  })
  .meta({ id: "ResentNotifications" });
