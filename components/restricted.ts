/** The user of our containers. An image does not need to define it. */
const NOBODY = 65_532;

/** A pod's securityContext, as Pod Security `restricted` demands. */
export const RESTRICTED_POD = {
  runAsNonRoot: true,
  runAsUser: NOBODY,
  seccompProfile: { type: "RuntimeDefault" },
} as const;

/** A container's securityContext, as Pod Security `restricted` demands. */
export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};
