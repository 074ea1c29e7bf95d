/**
 * Which lines belong to one stack trace, in the words of Fluent Bit's multiline parsers. Streams are
 * kept apart, and a JSON object neither begins nor continues a trace.
 */
export function multilineParsers() {
  return [
    {
      name: "traces",
      type: "regex",
      flush_timeout: 1000, // needed by its schema; without a buffer nothing waits
      key_content: "log",
      key_group: "stream", // the engine crashes at the seventh group: a pod's name could not be one
      rules: RULES.flatMap(([states, regex, next]) =>
        states.split(" ").map((state) => ({ state, regex: `/${regex}/`, next_state: next })),
      ),
    },
  ];
}

/** In which states, what the line is like, and the state after it. */
const RULES: readonly (readonly [states: string, regex: string, next: string])[] = [
  // Go
  ["start_state", "^(?:panic: |fatal error: |unexpected fault address |SIG[A-Z]+: )", "go"],
  ["start_state", "^(?!\\{).*\\bpanic serving \\S+: ", "go"],
  ["go", "^$", "go"],
  ["go", "^goroutine \\d+ ", "go"],
  ["go", "^(?:\\[signal |created by |exit status \\d|panic: |runtime(?: |:|\\.)|PC=)", "go"],
  ["go", "^(?:\\s(?!\\s*\\{)|\\.\\.\\.additional frames|r[a-z0-9]{1,3} +0x)", "go"],
  ["go", "^[^\\s()]+(?:\\([^()]*\\)[^\\s()]*)*\\(.*\\)$", "go"],

  // Python
  ["start_state", "^Traceback \\(most recent call last\\):", "python"],
  ["start_state", "^\\s*\\+ Exception Group Traceback ", "python"],
  ["python", "^\\s", "python"],
  ["python", "^[\\w.]+(?::.*)?$", "python_end"],
  ["python_end python_next", "^$", "python_next"],
  [
    "python_end python_next",
    "^(?:During handling of the above|The above exception was the)",
    "python_next",
  ],
  ["python_next", "^Traceback \\(most recent call last\\):", "python"],

  // Java, Kotlin, C#, Node
  ["start_state", "^(?!\\s*\\{).*(?:Exception|Error|Throwable|Fault)\\b", "trace_head"],
  ["start_state", "^(?:Uncaught|Unhandled|Caused by:) ", "trace_head"],
  ["trace_head trace", "^\\s+(?:at |\\.\\.\\. \\d+ |Suppressed: |Caused by: |--- End of)", "trace"],
  ["trace_head trace", "^(?:Caused by: |--- End of |\\s+---> )", "trace_head"],
  ["trace", "^\\s+\\S", "trace"],
  ["trace", "^[}\\])]+,?$", "trace"],
  ["trace", "^$", "trace_end"],
  ["trace trace_end", "^Node\\.js v\\d", "trace_end"],
  // Node shows the line that threw, before the error.
  ["start_state", "^(?:/|file:|node:)\\S+:\\d+$", "node_source"],
  ["node_source", "^(?:$|\\s|throw |\\^)", "node_source"],
  ["node_source", "^(?:Uncaught )?[\\w.$]*(?:Error|Exception)\\b", "trace_head"],
];
