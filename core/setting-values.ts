import { X509Certificate } from "node:crypto";
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

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** One or more certificates in PEM. Text between them, such as comments, is allowed. */
export const certificates = z.string().check((context) => {
  const found = context.value.match(CERTIFICATE) ?? [];
  const problem = (message: string) =>
    context.issues.push({ code: "custom", message, input: context.value });
  if (context.value.includes("PRIVATE KEY-----")) problem("holds a private key, which it must not");
  if (found.length === 0) problem("has no certificate in PEM (-----BEGIN CERTIFICATE-----)");
  found.forEach((pem, at) => {
    if (!isCertificate(pem)) problem(`has a malformed certificate, number ${at + 1}`);
  });
});

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

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
