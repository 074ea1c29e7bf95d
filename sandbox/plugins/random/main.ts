/** Stands in for the plugin random: RandomPassword, RandomString and RandomId of @pulumi/random. */
import { serveProvider } from "../serve.ts";
import { randomProvider } from "./random-provider.ts";

await serveProvider(randomProvider);
