import { z } from "zod";
import { isLoopback } from "./address.ts";

/** A DNS name of at least two labels, without a trailing dot. */
export const domain = z
  .string()
  .regex(
    /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*$/,
    "is not a lower-case DNS name",
  );

export const image = z.string().regex(/^[a-z0-9][\w.:/@-]*$/i, "is not an image reference");

export const namespace = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "is not a namespace");

/** The name of an object, such as a Secret. Kubernetes permits DNS names of one or more labels. */
export const objectName = z
  .string()
  .max(253, "is longer than 253 characters")
  .regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    "is not a name of a Kubernetes object",
  );

/** Secrets and what they protect must not travel in plain text, except on this machine. */
export const secureUrl = z.string().refine(
  (text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, hostname } = new URL(text);
    return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
  },
  { error: "is not a URL that begins with https://" },
);
