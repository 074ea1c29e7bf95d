import { Pool } from "undici";

interface LoadOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly perSecond: number;
  readonly seconds: number;
}

interface Load {
  /** In ms. Each is measured from when the request was due, so a late request counts as slow. */
  readonly times: readonly number[];
  readonly failed: number;
  /** Answers a second, over the whole time. */
  readonly rate: number;
}

/** At 500 requests a second, answers that take up to 40 ms make no request wait for a connection. */
const CONNECTIONS = 20;

/**
 * Sends requests at equal intervals, however late the answers come. autocannon, by contrast, sends the
 * requests of each second in one burst, and then weighs each time by its length.
 */
export async function steadyLoad({ url, headers, perSecond, seconds }: LoadOptions): Promise<Load> {
  const { origin, pathname: path } = new URL(url);
  const pool = new Pool(origin, { connections: CONNECTIONS });
  const times: number[] = [];
  let failed = 0;
  const answers: Promise<void>[] = [];
  const start = performance.now();
  const send = async (due: number) => {
    try {
      const { statusCode, body } = await pool.request({ path, method: "GET", headers });
      await body.dump();
      if (statusCode !== 200) failed += 1;
    } catch {
      failed += 1;
    }
    times.push(performance.now() - due);
  };
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const passed = (performance.now() - start) / 1000;
      const due = Math.min(passed, seconds) * perSecond;
      while (answers.length < due) answers.push(send(start + (answers.length * 1000) / perSecond));
      if (passed < seconds) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(answers);
  const rate = (times.length * 1000) / (performance.now() - start);
  await pool.close();
  return { times, failed, rate };
}
