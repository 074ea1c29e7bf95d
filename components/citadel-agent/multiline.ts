/**
 * Fluent Bit's multiline parser for stack traces. stdout and stderr are joined separately. A JSON
 * object neither starts nor continues a trace.
 */
export function multilineParsers() {
  return [
    {
      name: "traces",
      type: "regex",
      flush_timeout: 1000, // required by the schema; without a buffer it has no effect
      key_content: "log",
      key_group: "stream", // not a pod's name: the engine crashes at the seventh group
      rules: RULES.flatMap(([states, regex, next]) =>
        states.split(" ").map((state) => ({ state, regex: `/${regex}/`, next_state: next })),
      ),
    },
  ];
}

/**
 * The states, the pattern of a line, and the next state. Each pattern starts with `\A` and cannot match
 * the same text in several ways. So no line can cause backtracking that blocks the whole node.
 */
const RULES: readonly (readonly [states: string, regex: string, next: string])[] = [
  // Go
  ["start_state", "\\A(?:panic: |fatal error: |unexpected fault address |SIG[A-Z]+: )", "go"],
  ["start_state", "\\A(?!\\{).*\\bpanic serving \\S+: ", "go"],
  ["go", "\\A$", "go"],
  ["go", "\\Agoroutine \\d+ ", "go"],
  ["go", "\\A(?:\\[signal |created by |exit status \\d|panic: |runtime(?: |:|\\.)|PC=)", "go"],
  ["go", "\\A(?:\\s(?!\\s*\\{)|\\.\\.\\.additional frames|r[a-z0-9]{1,3} +0x)", "go"],
  ["go", "\\A[^\\s()]+\\(.*\\)$", "go"],

  // Python
  ["start_state", "\\ATraceback \\(most recent call last\\):", "python"],
  ["start_state", "\\A\\s*\\+ Exception Group Traceback ", "python"],
  ["python", "\\A\\s", "python"],
  ["python", "\\A[\\w.]+(?::.*)?$", "python_end"],
  ["python_end python_next", "\\A$", "python_next"],
  [
    "python_end python_next",
    "\\A(?:During handling of the above|The above exception was the)",
    "python_next",
  ],
  ["python_next", "\\ATraceback \\(most recent call last\\):", "python"],

  // Java, Kotlin, C#, Node
  ["start_state", "\\A(?!\\s*\\{).*(?:Exception|Error|Throwable|Fault)\\b", "trace_head"],
  ["start_state", "\\A(?:Uncaught|Unhandled|Caused by:) ", "trace_head"],
  [
    "trace_head trace",
    "\\A\\s+(?:at |\\.\\.\\. \\d+ |Suppressed: |Caused by: |--- End of)",
    "trace",
  ],
  ["trace_head trace", "\\A(?:Caused by: |--- End of |\\s+---> )", "trace_head"],
  ["trace", "\\A\\s+\\S", "trace"],
  ["trace", "\\A[}\\])]+,?$", "trace"],
  ["trace", "\\A$", "trace_end"],
  ["trace trace_end", "\\ANode\\.js v\\d", "trace_end"],
  // Node prints the source line that threw before the error.
  ["start_state", "\\A(?:/|file:|node:)\\S+:\\d+$", "node_source"],
  ["node_source", "\\A(?:$|\\s|throw |\\^)", "node_source"],
  ["node_source", "\\A(?:Uncaught )?[\\w.$]*(?:Error|Exception)\\b", "trace_head"],
];
