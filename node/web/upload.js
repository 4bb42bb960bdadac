// Uploads through this gateway: a queue that outlives page changes, two at a time, each with its progress.
//
// A browser's progress counts bytes that left for the gateway. The gateway answers when the slices are durable on the nodes, so after the last byte an
// upload is `storing` until then.

import { errorText } from "./api.js";
import { createStore } from "./store.js";

const AT_ONCE = 2;
const FINISHED_KEPT = 6;

// `over`: files are being dragged over the page.
export const uploads = createStore({ list: [], finished: 0, over: false });
const requests = new Map();
let number = 0;

const patch = (id, parts) => uploads.set({ list: uploads.get().list.map((item) => (item.id === id ? { ...item, ...parts } : item)) });

export function add(files) {
  const items = files.map((file) => {
    number += 1;
    return { id: number, file, name: file.name, size: file.size, sent: 0, state: "waiting", error: null, speed: 0, started: 0 };
  });
  uploads.set({ list: [...uploads.get().list, ...items] });
  pump();
}

export function retry(id) {
  patch(id, { state: "waiting", error: null, sent: 0 });
  pump();
}

/** Stops an upload that is not finished, or takes a finished one off the list. */
export function dismiss(id) {
  requests.get(id)?.abort();
  requests.delete(id);
  uploads.set({ list: uploads.get().list.filter((item) => item.id !== id) });
  pump();
}

export function isBusy(item) {
  return item.state === "sending" || item.state === "storing";
}

function pump() {
  const { list } = uploads.get();
  const free = AT_ONCE - list.filter(isBusy).length;
  for (const item of list.filter((each) => each.state === "waiting").slice(0, Math.max(0, free))) send(item);
}

function send(item) {
  const { id, file } = item;
  const request = new XMLHttpRequest();
  requests.set(id, request);
  const started = performance.now();
  patch(id, { state: "sending" });
  request.open("POST", `/v1/files?name=${encodeURIComponent(file.name)}&type=${encodeURIComponent(file.type || "application/octet-stream")}`);
  request.setRequestHeader("X-Stratos", "1");
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.upload.addEventListener("progress", (event) => {
    const seconds = (performance.now() - started) / 1000;
    patch(id, { sent: event.loaded, speed: seconds > 0.3 ? Math.round(event.loaded / seconds) : 0 });
  });
  request.upload.addEventListener("load", () => patch(id, { state: "storing", sent: file.size }));
  request.addEventListener("load", () => {
    if (request.status >= 200 && request.status < 300) done(id, request.responseText);
    else failed(id, errorText(request.status, request.responseText));
  });
  request.addEventListener("error", () => failed(id, "The connection broke before the gateway confirmed the file. A folder, or a file that changed on disk, cannot be sent either."));
  request.addEventListener("loadend", () => {
    requests.delete(id);
    pump();
  });
  request.send(file);
}

function done(id, body) {
  let answer;
  try {
    answer = JSON.parse(body);
  } catch {
    failed(id, "The gateway sent an answer that is not JSON; look in the list whether the file is there.");
    return;
  }
  patch(id, { state: "done", answer, file: null });
  const { list, finished } = uploads.get();
  const surplus = new Set(list.filter((item) => item.state === "done").slice(0, -FINISHED_KEPT).map((item) => item.id));
  uploads.set({ list: list.filter((item) => !surplus.has(item.id)), finished: finished + 1 });
}

function failed(id, error) {
  patch(id, { state: "failed", error });
}

/** Asks before the page is left while bytes are under way. */
export function guardUnload() {
  window.addEventListener("beforeunload", (event) => {
    if (uploads.get().list.some((item) => isBusy(item) || item.state === "waiting")) event.preventDefault();
  });
}
