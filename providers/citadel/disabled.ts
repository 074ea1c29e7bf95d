/** The id of what stands for nothing, while Citadel is not in use. */
export const DISABLED = "disabled";
