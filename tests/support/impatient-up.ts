import { up } from "../../automation/engine/stack.ts";

// An up in a process of its own, for no other one can run safely in it once its engine was ended.
// Arguments: stack, work folder, the project's name, patience in ms. Writes its outcome as JSON.
const [stack = "", workDir = "", name = "", patience = ""] = process.argv.slice(2);
const outcome = await up(stack, { workDir, config: { name }, patience: Number(patience) });
console.log(JSON.stringify(outcome));
process.exit();
