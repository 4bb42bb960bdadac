// Shows any message or event of the ledgers by the interface's naming rules (`_wei`, `_noz`, `_ms`, addresses, hashes), so that kinds this page has never
// heard of are readable too.

import { bytes, capital, count, moment, stos, words } from "./format.js";
import { AddressLink, Copyable, html, Ozone, Stos } from "./ui.js";

// Fields of events that are coins: events are the ledger's own words, without units in their names.
const COINS = new Set(["amount", "paid", "deposit", "released", "mined", "kept", "stake", "slashed", "reward", "compensated", "forfeited", "burned", "tips"]);
const ADDRESS = /^st1[02-9ac-hj-np-z]{20,80}$/;
const HASH = /^[0-9a-f]{64}$/;

function Value({ name, value }) {
  if (value === null || value === undefined) return html`<span class="muted">–</span>`;
  if (/(^|_)wei$/.test(name) || (COINS.has(name) && /^\d+$/.test(value))) return html`<${Stos} wei=${value} />`;
  if (/(^|_)noz$/.test(name)) return html`<${Ozone} noz=${value} />`;
  if (/(^|_)bytes$/.test(name)) return html`<span class="num">${bytes(value)}</span>`;
  if (name.endsWith("_ms") && Number(value) > 1e12) return moment(Number(value));
  if (typeof value === "string" && ADDRESS.test(value)) return html`<${AddressLink} address=${value} />`;
  if (typeof value === "string" && HASH.test(value)) return html`<${Copyable} text=${value} what=${words(name)} />`;
  if (typeof value === "number") return html`<span class="num">${Number.isInteger(value) ? count(value) : value}</span>`;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.length ? html`<ul class="plain">${value.map((item, index) => html`<li key=${index}><${Value} name=${name} value=${item} /></li>`)}</ul>` : html`<span class="muted">none</span>`;
  if (typeof value === "object") return html`<${Fields} of=${value} />`;
  return html`<span class="break">${String(value)}</span>`;
}

function Fields({ of, without }) {
  return html`<dl class="fields">${Object.entries(of).filter(([name]) => name !== without).map(([name, value]) => html`<div key=${name}><dt>${capital(words(name))}</dt><dd><${Value} name=${name} value=${value} /></dd></div>`)}</dl>`;
}

/** A list of messages (`kind`) or events (`event`), each with its fields. */
export function Records({ list, kind }) {
  return html`<ol class="records">${list.map((record, index) => html`<li key=${index}><p class="record-kind">${capital(words(record[kind] ?? "record"))}</p><${Fields} of=${record} without=${kind} /></li>`)}</ol>`;
}

/** What a transaction does, in a few words: the kind and amount of its first message. */
export function summary(transaction) {
  const [first, ...rest] = transaction.messages ?? [];
  if (!first) return "No messages";
  const amount = Object.entries(first).find(([name]) => name.endsWith("_wei"));
  return `${capital(words(first.kind ?? "message"))}${amount ? ` ${stos(amount[1])}` : ""}${rest.length ? ` and ${rest.length} more` : ""}`;
}
