/**
 * The property of a state that says that a destroy had begun with its object. What the state tells of
 * the object beside its inputs may then be true no more.
 */
export const DELETE_BEGUN = "deleteBegun";
