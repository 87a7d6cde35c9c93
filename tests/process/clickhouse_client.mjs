// Asks a Proxist through ClickHouse's own client, unchanged; prints what came back as one JSON text.
import { createRequire } from "node:module";
import process from "node:process";

const require = createRequire(process.env.PROXIST_NODE_MODULES + "/");
const { createClient } = require("@clickhouse/client");

const client = createClient({ url: process.argv[2], compression: { response: true } });
const seen = {};

seen.ping = (await client.ping()).success;

const typed = await client.query({
  query: "SELECT symbol, sum(size) AS size, count() AS n FROM trades WHERE venue != {none: String} " +
    "GROUP BY symbol ORDER BY symbol",
  query_params: { none: "?'\t" },
  format: "JSONEachRow",
  clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
});
seen.rows = await typed.json();
seen.query_id = typed.query_id.length > 0;

seen.streamed = 0;
const numbers = await client.query({ query: "SELECT number FROM numbers(300000)", format: "JSONEachRow" });
for await (const rows of numbers.stream()) seen.streamed += rows.length;

for (const [name, ask] of Object.entries({
  unknown: () => client.query({ query: "SELECT * FROM nowhere" }),
  syntax: () => client.query({ query: "SELEC 1" }),
  insert: () => client.insert({ table: "trades", values: [{ symbol: "A" }], format: "JSONEachRow" }),
  command: () => client.command({ query: "CREATE TABLE t (a Int32) ENGINE = Memory" }),
})) {
  try {
    await ask();
    seen[name] = "no error";
  } catch (error) {
    seen[name] = { code: error.code, type: error.type, message: error.message };
  }
}

const abort = new AbortController();
const long = client.query({
  query: "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))",
  query_id: "the-long-one",
  abort_signal: abort.signal,
});
setTimeout(() => abort.abort(), 500);
seen.aborted = await long.then(() => false, () => true);

await client.close();
console.log(JSON.stringify(seen));
