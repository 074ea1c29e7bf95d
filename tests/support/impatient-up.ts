import { up } from "../../automation/engine/stack.ts";

// Runs `up` in a process of its own, because no program can run in a process whose engine was killed.
// Arguments: stack, work folder, the project's name, stallMs. Prints the outcome as JSON.
const [stack = "", workDir = "", name = "", stallMs = ""] = process.argv.slice(2);
const outcome = await up(stack, { workDir, config: { name }, stallMs: Number(stallMs) });
console.log(JSON.stringify(outcome));
process.exit();
