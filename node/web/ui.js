// The small parts that every page is made of: text with units, links, badges, tables, and what stands in for data that is not there.

import { fileUrl } from "./api.js";
import { age, basisPoints, brief, moment, ozoneParts, stosParts } from "./format.js";
import { now } from "./live.js";
import { useName } from "./names.js";
import { href } from "./router.js";
import { createStore, useStore } from "./store.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";
import { h } from "./vendor/preact.js";

export const html = htm.bind(h);

const ARRIVAL_MS = 1600;

const ICONS = {
  search: "M11 11l4 4M12.5 7.2a5.3 5.3 0 1 1-10.6 0 5.3 5.3 0 0 1 10.6 0z",
  play: "M5 3.2v9.6l8-4.8z",
  stop: "M8 2v5.5M4.8 4a5.2 5.2 0 1 0 6.4 0",
  download: "M8 2v8m0 0l-3.2-3.2M8 10l3.2-3.2M2.5 13.5h11",
  upload: "M8 11V3m0 0L4.8 6.2M8 3l3.2 3.2M2.5 13.5h11",
  link: "M6.7 9.3l2.6-2.6M7.3 4.7l1.4-1.4a2.8 2.8 0 0 1 4 4l-1.4 1.4M8.7 11.3l-1.4 1.4a2.8 2.8 0 0 1-4-4l1.4-1.4",
  copy: "M6 6h7.5v7.5H6zM10 6V2.5H2.5V10H6",
  check: "M3 8.5l3.2 3.2L13 4.8",
  close: "M4 4l8 8M12 4l-8 8",
  trash: "M3 4.5h10M6.2 4.5V2.8h3.6v1.7M4.4 4.5l.6 8.7h6l.6-8.7",
  file: "M4 1.8h5.2L12.2 5v9.2H4zM9 1.8V5h3.2",
  film: "M2 3.5h12v9H2zM5 3.5v9M11 3.5v9M2 8h3m6 0h3",
  image: "M2 3h12v10H2zM2.5 11.5L6 8l2.5 2.5L11 8l3 3M11 5.7h.01",
  audio: "M6 12V3.5l7-1.2v8.5M6 12a1.8 1.8 0 1 1-3.6 0A1.8 1.8 0 0 1 6 12zm7-1.2a1.8 1.8 0 1 1-3.6 0 1.8 1.8 0 0 1 3.6 0z",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${ICONS[name]} /></svg>`;
}

/** Draws its user again every `period` ms, so that ages stay true. */
export function useTick(period) {
  const [tick, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setTick((before) => before + 1), period);
    return () => clearInterval(timer);
  }, [period]);
  return tick;
}

export function Ago({ time }) {
  useTick(1000);
  return html`<time class="num" title=${moment(time)} datetime=${time ? new Date(time).toISOString() : undefined}>${age(time, now())}</time>`;
}

function Quantity({ text, unit, exact }) {
  return html`<span class="num" title=${exact}>${text}${unit && html`<span class="unit">${" "}${unit}</span>`}</span>`;
}

export const Stos = ({ wei }) => html`<${Quantity} ...${stosParts(wei)} />`;
export const Ozone = ({ noz }) => html`<${Quantity} ...${ozoneParts(noz)} />`;

/** A hash or id that leads to its page. */
export function HashLink({ kind, hash, head, tail, label }) {
  if (!hash && hash !== 0) return html`<span class="muted">–</span>`;
  return html`<a class="mono" href=${href(kind, hash)} title=${String(hash)}>${label ?? brief(hash, head, tail)}</a>`;
}

/** An account: by the name of the node that owns it where there is one. */
export function AddressLink({ address, head = 7, tail = 5 }) {
  const name = useName(address);
  if (!address) return html`<span class="muted">–</span>`;
  return html`<a class=${name ? "" : "mono"} href=${href("account", address)} title=${address}>${name ?? brief(address, head, tail)}</a>`;
}

export const Badge = ({ tone = "plain", children }) => html`<span class="badge ${tone}">${children}</span>`;

const NODE_TONES = { up: "good", active: "good", stopped: "bad", candidate: "plain", unknown: "plain" };
const NODE_STATES = Object.keys(NODE_TONES);

export function State({ state }) {
  return html`<span class="state ${NODE_TONES[state] ?? "plain"}"><i aria-hidden="true"></i>${NODE_STATES.includes(state) ? state : String(state ?? "unknown")}</span>`;
}

/** A share of a whole as a thin bar. */
export function Meter({ part, whole, label }) {
  const share = Math.min(100, basisPoints(part, whole) / 100);
  return html`<span class="meter" role="img" aria-label=${label ?? `${share} %`}><i style=${{ width: `${share}%` }}></i></span>`;
}

export function Button({ icon, label, children, quiet, busy, ...rest }) {
  return html`<button type="button" class=${`button${quiet ? " quiet" : ""}${children ? "" : " square"}`} aria-label=${label} title=${label} aria-busy=${busy ? "true" : undefined}
    disabled=${busy} ...${rest}>${icon && html`<${Icon} name=${icon} />`}${children}</button>`;
}

/** Two presses: the second one does it. Forgets the first after four seconds or when the focus leaves. */
export function ConfirmButton({ icon, label, question, act, busy }) {
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (!asked) return undefined;
    const timer = setTimeout(() => setAsked(false), 4000);
    return () => clearTimeout(timer);
  }, [asked]);
  const press = () => {
    if (asked) act();
    setAsked(!asked);
  };
  return html`<button type="button" class=${`button quiet square${asked ? " danger" : ""}`} aria-label=${asked ? question : label} title=${asked ? question : label}
    disabled=${busy} onClick=${press} onBlur=${() => setAsked(false)}><${Icon} name=${asked ? "check" : icon} /></button>`;
}

export const notices = createStore({ list: [] });
let noticeNumber = 0;

/** A sentence at the edge of the page that leaves by itself. */
export function notify(text, tone = "plain") {
  noticeNumber += 1;
  const number = noticeNumber;
  notices.set({ list: [...notices.get().list.slice(-2), { number, text, tone }] });
  setTimeout(() => notices.set({ list: notices.get().list.filter((notice) => notice.number !== number) }), tone === "bad" ? 9000 : 4000);
}

export function Notices() {
  const list = useStore(notices, (state) => state.list);
  return html`<div class="notices" role="status" aria-live="polite">${list.map((notice) => html`<p key=${notice.number} class="notice ${notice.tone}">${notice.text}</p>`)}</div>`;
}

export async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    notify(`${what} copied.`);
    return;
  } catch {
    // No clipboard for pages from plain HTTP on other machines: the old way follows.
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "offscreen";
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  notify(copied ? `${what} copied.` : `This browser does not let the page copy. ${text}`, copied ? "plain" : "bad");
}

/** A long value with a button that copies it. */
export function Copyable({ text, what }) {
  return html`<span class="copyable"><span class="mono break">${text}</span><${Button} quiet icon="copy" label=${`Copy ${what}`} onClick=${() => copyText(String(text), what)} /></span>`;
}

export const copyFileLink = (file) => copyText(fileUrl(file.url) ?? "", `Link to ${file.name || "the file"}`);

/** A part of the page with a heading; `more` stands at the end of the heading's line. */
export function Panel({ title, more, note, children, label, extra = "" }) {
  return html`<section class=${`panel ${extra}`} aria-label=${label ?? title}>
    ${title && html`<header class="panel-head"><h2>${title}</h2>${note && html`<span class="muted">${note}</span>`}<span class="grow"></span>${more}</header>`}
    ${children}
  </section>`;
}

/** Says why there is nothing, in place of it. */
export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children && html`<p class="muted">${children}</p>`}</div>`;
}

export function Failure({ error, retry }) {
  return html`<div class="empty" role="alert"><p class="empty-title">${error.status === 404 ? "Not found" : "This could not be loaded"}</p>
    <p class="muted">${error.message}</p>${retry && html`<${Button} onClick=${retry}>Try again<//>`}</div>`;
}

/** Holds the place of `rows` rows that are on their way. */
export function Skeleton({ rows = 5 }) {
  return html`<div class="skeleton" aria-hidden="true">${Array.from({ length: rows }, (_, row) => html`<span key=${row}></span>`)}</div>`;
}

/** Data, or what is there instead of it. `children` is a function of the data; `page` is `[eyebrow, title]` where the data is the whole page. */
export function Loaded({ from, rows, page, children }) {
  if (from.data !== undefined) return children(from.data);
  const instead = from.error ? html`<${Failure} error=${from.error} retry=${from.reload} />` : html`<${Skeleton} rows=${rows} />`;
  return page ? html`<${Heading} eyebrow=${page[0]}><span class="break">${page[1]}</span><//><${Panel} label=${page[0]}>${instead}<//>` : instead;
}

// Which rows came above rows that were there before; each is remembered until its light has faded.
function useArrivals(ids) {
  const known = useRef(null);
  const arrived = useRef(new Map());
  const now = Date.now();
  const oldest = known.current === null ? 0 : ids.findIndex((each) => known.current.has(each));
  for (const each of ids.slice(0, Math.max(0, oldest))) arrived.current.set(each, now);
  for (const [each, since] of arrived.current) if (now - since > ARRIVAL_MS) arrived.current.delete(each);
  known.current = new Set(ids);
  return arrived.current;
}

/**
 * A table. A column is `{ title, cell(row), end, narrow: "hide", shrink, fill }`; `slots` keeps the height of that many rows from the start, so that rows
 * that arrive move nothing. Rows that arrive above known ones light up once.
 */
export function Table({ columns, rows, id, slots = 0, label }) {
  const arrived = useArrivals(rows.map(id));
  const style = (column) => [column.end && "end", column.narrow === "hide" && "hide-narrow", column.shrink && "shrink", column.fill && "fill"].filter(Boolean).join(" ");
  return html`<div class="table" style=${slots ? { minHeight: `calc(var(--row) * ${slots} + 2rem)` } : undefined}>
    <table aria-label=${label}>
      <thead><tr>${columns.map((column) => html`<th scope="col" class=${style(column)}>${column.title}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${id(row)} class=${arrived.has(id(row)) ? "fresh" : ""}>${columns.map((column) => html`<td class=${style(column)}>${column.cell(row)}</td>`)}</tr>`)}</tbody>
    </table>
  </div>`;
}

/** Name and value pairs of a detail page; pairs without a value are left out. */
export function Facts({ pairs }) {
  return html`<dl class="facts">${pairs.filter((pair) => ![undefined, null, false, ""].includes(pair[1])).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** The heading of a page: takes the focus when the page changes, so that the keyboard and screen readers follow. */
export function Heading({ eyebrow, children, actions }) {
  const heading = useRef(null);
  useEffect(() => {
    if (document.body.dataset.moved && document.activeElement?.tagName !== "INPUT") heading.current?.focus({ preventScroll: true });
  }, []);
  return html`<div class="heading"><div>${eyebrow && html`<p class="eyebrow">${eyebrow}</p>`}<h1 ref=${heading} tabindex="-1">${children}</h1></div>${actions && html`<div class="actions">${actions}</div>`}</div>`;
}
