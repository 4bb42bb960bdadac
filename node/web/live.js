// What the page knows about the network as it moves: status, newest blocks, and whether the gateway is reachable.
//
// Blocks arrive by server-sent events; while those are closed the page asks every two seconds instead. When the gateway does not answer the page keeps
// what it has, says so, and tries again with growing pauses. A new genesis hash (a development network started afresh) forgets everything.

import { get, health } from "./api.js";
import { createStore } from "./store.js";
import { renew } from "./data.js";

const BLOCKS_KEPT = 96;
const POLL_MS = 2_000;
const STATUS_GAP_MS = 900;
const STATUS_IDLE_MS = 5_000;
const LISTEN_GAP_MS = 15_000;
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 10_000];

export const live = createStore({
  link: "starting", // starting | live | polling | stalled | lost
  problem: null,
  retryAt: 0,
  status: null,
  blocks: [], // newest first
  transactionsSeen: 0,
  clockOffset: 0,
});

let events = null;
let failures = 0;
let timer = 0;
let lastRefresh = 0;
let lastListen = 0;
let refreshing = null;

/** The gateway's clock now, in ms since the Unix epoch. */
export function now() {
  return Date.now() + live.get().clockOffset;
}

export function start() {
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  window.addEventListener("online", refresh);
  refresh();
}

/** Asks again at once. */
export function refresh() {
  clearTimeout(timer);
  refreshing ??= load().finally(() => {
    refreshing = null;
  });
  return refreshing;
}

// Blocks are missing: at the top (an event that is still on its way is given a block of time), or within, from before the events were open.
function isBehind(height) {
  const { blocks } = live.get();
  if (blocks.length === 0 || blocks[0].height < height - (eventsOpen() ? 1 : 0)) return true;
  return blocks[0].height - blocks.at(-1).height + 1 !== blocks.length;
}

function eventsOpen() {
  return events !== null && events.readyState === EventSource.OPEN;
}

async function load() {
  lastRefresh = Date.now();
  try {
    const [status, condition] = await Promise.all([get("/v1/status"), health().catch(() => "ok")]);
    const previous = live.get().status;
    const another = previous !== null && previous.genesis !== status.genesis;
    if (another) live.set({ blocks: [], transactionsSeen: 0 });
    if (isBehind(status.value?.height ?? 0)) merge(await get(`/v1/blocks?limit=${BLOCKS_KEPT}`));
    if (another || failures > 0) renew(another);
    failures = 0;
    const link = condition === "ok" ? (eventsOpen() ? "live" : "polling") : condition;
    live.set({ status, link, problem: null, clockOffset: status.time_ms ? status.time_ms - Date.now() : 0 });
    listen();
    schedule(eventsOpen() ? STATUS_IDLE_MS : POLL_MS);
  } catch (error) {
    const pause = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
    failures += 1;
    events?.close();
    events = null;
    live.set({ link: "lost", problem: error.message, retryAt: Date.now() + pause });
    schedule(pause);
  }
}

function schedule(pause) {
  clearTimeout(timer);
  timer = setTimeout(() => (document.hidden && live.get().link !== "lost" ? schedule(pause) : refresh()), pause);
}

function listen() {
  if (events && (events.readyState !== EventSource.CLOSED || Date.now() - lastListen < LISTEN_GAP_MS)) return;
  lastListen = Date.now();
  events = new EventSource("/v1/blocks/stream");
  events.addEventListener("open", () => {
    if (live.get().link === "polling") live.set({ link: "live" });
  });
  events.addEventListener("block", (event) => {
    try {
      merge([JSON.parse(event.data)]);
    } catch {
      return; // A damaged event: the next refresh fetches the block.
    }
    const wait = STATUS_GAP_MS - (Date.now() - lastRefresh);
    if (wait <= 0) refresh();
    else schedule(wait);
  });
  events.addEventListener("error", () => {
    if (live.get().link === "live") live.set({ link: "polling" });
    schedule(POLL_MS / 4);
  });
}

function merge(incoming) {
  const { blocks, transactionsSeen } = live.get();
  const byHeight = new Map(blocks.map((block) => [block.height, block]));
  let seen = transactionsSeen;
  for (const block of incoming) {
    if (!byHeight.has(block.height)) seen += block.txs?.length ?? 0;
    byHeight.set(block.height, block);
  }
  const merged = [...byHeight.values()].sort((a, b) => b.height - a.height).slice(0, BLOCKS_KEPT);
  live.set({ blocks: merged, transactionsSeen: seen });
}
