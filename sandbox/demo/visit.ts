/**
 * Sends GET requests, each on a connection of its own, and prints a line of JSON for each answer:
 *
 *     node sandbox/demo/visit.ts URL PER_SECOND [COUNT]
 *
 * It ends after COUNT requests, or when its standard input ends.
 */
import { get } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { Visit } from "./visits.ts";

/** In ms. */
const DEADLINE = 10_000;
const PAUSE = 5;

const [url = "", perSecond = "1", count = "Infinity"] = process.argv.slice(2);
let isOver = false;
process.stdin.resume().once("end", () => (isOver = true));

const begin = Date.now();
const answers: Promise<void>[] = [];
while (!isOver && answers.length < Number(count)) {
  // A pause may take longer than asked for. The requests that are due then follow at once.
  const due = 1 + Math.floor(((Date.now() - begin) * Number(perSecond)) / 1000);
  while (answers.length < Math.min(due, Number(count))) answers.push(visit().then(print));
  await sleep(PAUSE);
}
await Promise.all(answers);
process.stdin.destroy();

async function visit(): Promise<Visit> {
  try {
    return await new Promise<Visit>((resolve, reject) => {
      const request = get(url, { agent: false, signal: AbortSignal.timeout(DEADLINE) });
      request.once("error", reject);
      request.once("response", (answer) => {
        const { statusCode: status = 0 } = answer;
        text(answer).then((body) => resolve({ status, body }), reject);
      });
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { error: code ?? message };
  }
}

function print(one: Visit): void {
  console.log(JSON.stringify(one));
}
