// graphile-worker: `prepare`, `worker PRESET`, or its client, as programs/protocol.py has it.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.env.BENCHMARK_NODE, "package.json"));
const { run, runMigrations, makeWorkerUtils, Logger } = require("graphile-worker");
const { Pool } = require("pg");

const STEP = 500;
const socket = new URL(process.env.DATABASE_URL.replace("@/", "@localhost/"));
const connection = {
  host: socket.searchParams.get("host") ?? socket.hostname,
  port: Number(socket.searchParams.get("port") ?? (socket.port || 5432)),
  user: decodeURIComponent(socket.username),
  password: decodeURIComponent(socket.password) || undefined,
  database: decodeURIComponent(socket.pathname.slice(1)),
};
const logger = new Logger(() => (level, message) => {
  if (level === "error" || level === "warning") console.error(message);
});
const now = () => (performance.timeOrigin + performance.now()) / 1000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const opened = {};
function write(kind, value) {
  opened[kind] ??= fs.openSync(path.join(process.env.BENCHMARK_MARKS, `${process.pid}.${kind}`), "a");
  fs.writeSync(opened[kind], `${value}\n`);
}

let ran = 0;
const taskList = {
  noop: async () => {
    if (ran++ % STEP === 0) write("marks", now());
  },
  ping: async ({ sent }) => write("pings", (now() - sent) * 1000),
};
const presets = {
  drain: { concurrentJobs: 24, maxPoolSize: 25, localQueue: { size: 500 }, completeJobBatchDelay: 0 },
  latency: { concurrentJobs: 24, maxPoolSize: 25 },
};

async function client(mode, count, second) {
  const pool = new Pool({ ...connection, max: 1 });
  const utils = await makeWorkerUtils({ pgPool: pool, logger });
  await pool.query("SELECT 1");
  const lines = readline.createInterface({ input: process.stdin });
  const go = new Promise((resolve) => lines.once("line", resolve));
  console.log("ready");
  await go;
  lines.close();
  const begun = now();
  if (mode === "ping") {
    for (let turn = 0; turn < count; turn++) {
      await sleep(Math.max(0, (begun + turn / second - now()) * 1000));
      await utils.addJob("ping", { sent: now() });
    }
  } else if (mode === "single") {
    for (let turn = 0; turn < count; turn++) await utils.addJob("noop", {});
  } else {
    for (let start = 0; start < count; start += second) {
      const jobs = Array.from({ length: Math.min(second, count - start) }, () => ({ identifier: "noop", payload: {} }));
      await utils.addJobs(jobs);
    }
  }
  console.log(JSON.stringify({ begun, ended: now(), count }));
  await utils.release();
  await pool.end();
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === "prepare") {
  const pool = new Pool(connection);
  await runMigrations({ pgPool: pool, logger });
  await pool.end();
} else if (mode === "worker") {
  const { maxPoolSize, ...worker } = presets[rest[0]];
  const pgPool = new Pool({ ...connection, max: maxPoolSize });
  pgPool.on("error", () => {});
  await run({ pgPool, taskList, noHandleSignals: false, preset: { worker: { ...worker, logger } } });
} else {
  await client(mode, Number(rest[0]), Number(rest[1]));
}
