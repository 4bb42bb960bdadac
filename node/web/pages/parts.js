// Lists that more than one page shows: blocks, transactions, files.

import { change, filePath } from "../api.js";
import { bytes, count, playable } from "../format.js";
import { summary } from "../generic.js";
import { play } from "../player.js";
import { href } from "../router.js";
import { AddressLink, Ago, Badge, Button, ConfirmButton, copyFileLink, HashLink, html, Icon, Meter, notify, Stos, Table } from "../ui.js";
import { useState } from "../vendor/hooks.js";

/** Who signed; of how many, if the gateway still knows. */
export const signedBy = (block) => (block.members ? `${block.signers} of ${block.members}` : String(block.signers));

const BLOCK_COLUMNS = {
  height: { title: "Height", cell: (block) => html`<a class="num strong" href=${href("block", block.height)}>${count(block.height)}</a>` },
  age: { title: "Age", cell: (block) => html`<${Ago} time=${block.time_ms} />` },
  proposer: { title: "Proposer", cell: (block) => html`<${AddressLink} address=${block.proposer?.address} />` },
  transactions: { title: "Transactions", end: true, cell: (block) => html`<span class="num">${block.txs?.length ? count(block.txs.length) : html`<span class="muted">–</span>`}</span>` },
  size: { title: "Size", end: true, narrow: "hide", cell: (block) => html`<span class="num">${bytes(block.bytes)}</span>` },
  signers: { title: "Signed by", end: true, narrow: "hide", cell: (block) => html`<span class="num">${signedBy(block)}</span>` },
  use: { title: "Space used", narrow: "hide", cell: (block) => html`<${Meter} part=${block.units_used} whole=${block.units_limit} />` },
  epoch: { title: "Epoch", end: true, narrow: "hide", cell: (block) => html`<span class="num">${count(block.epoch)}</span>${block.closes_epoch && html` <${Badge}>closes<//>`}` },
};

export function BlockTable({ blocks, wide, slots }) {
  const names = wide ? ["height", "age", "proposer", "transactions", "use", "size", "signers", "epoch"] : ["height", "age", "proposer", "transactions"];
  return html`<${Table} label="Blocks" slots=${slots} columns=${names.map((name) => BLOCK_COLUMNS[name])} rows=${blocks} id=${(block) => block.height} />`;
}

export function Outcome({ transaction }) {
  if (transaction.state === "waiting") return html`<${Badge}>waiting<//>`;
  if (transaction.state === "unknown") return html`<${Badge}>unknown<//>`;
  return transaction.status === "failed" ? html`<${Badge} tone="bad">failed<//>` : html`<${Badge} tone="good">done<//>`;
}

const TX_COLUMNS = {
  what: { title: "Transaction", fill: true, cell: (tx) => html`<a class="strong" href=${href("tx", tx.hash)} title=${tx.hash}>${summary(tx)}</a>` },
  sender: { title: "From", narrow: "hide", cell: (tx) => html`<${AddressLink} address=${tx.sender} />` },
  block: { title: "Block", end: true, cell: (tx) => html`<a class="num" href=${href("block", tx.height)}>${count(tx.height)}</a>` },
  fee: { title: "Fee", end: true, narrow: "hide", cell: (tx) => html`<${Stos} wei=${tx.fee_wei} />` },
  hash: { title: "Hash", narrow: "hide", cell: (tx) => html`<${HashLink} kind="tx" hash=${tx.hash} />` },
  status: { title: "Result", end: true, cell: (tx) => html`<${Outcome} transaction=${tx} />` },
};

export function TransactionTable({ transactions, wide, slots }) {
  const names = wide ? ["what", "hash", "sender", "block", "fee", "status"] : ["what", "sender", "status"];
  return html`<${Table} label="Transactions" slots=${slots} columns=${names.map((name) => TX_COLUMNS[name])} rows=${transactions} id=${(tx) => tx.hash} />`;
}

const KIND_ICONS = { video: "film", audio: "audio", image: "image" };

/** What can be done with a file; `brief` leaves out what the file's own page has already. */
export function FileActions({ file, changed, removed, brief }) {
  const [busy, setBusy] = useState(false);
  const name = file.name || "this file";
  const remove = async () => {
    setBusy(true);
    try {
      await change("DELETE", `/v1/files/${file.file_id}`);
      notify(`${file.name || "The file"} is deleted.`);
      (removed ?? changed)();
    } catch (error) {
      notify(error.message, "bad");
    }
    setBusy(false);
  };
  const path = filePath(file.url);
  return html`<span class="row-actions">
    ${!brief && playable(file.type) && html`<${Button} quiet icon="play" label=${`${playable(file.type) === "image" ? "Show" : "Play"} ${name}`} onClick=${() => play(file)} />`}
    <${Button} quiet icon="link" label=${`Copy the link to ${name}`} onClick=${() => copyFileLink(file)} />
    ${!brief && path && html`<a class="button quiet square hide-narrow" href=${path} download=${file.name || "file"} aria-label=${`Download ${name}`} title=${`Download ${name}`}><${Icon} name="download" /></a>`}
    <${ConfirmButton} icon="trash" label=${`Delete ${name}`} question=${`Press again to delete ${name}`} act=${remove} busy=${busy} />
  </span>`;
}

/** Files of this gateway, which knows their names and can show them. */
export function GatewayFiles({ files, changed }) {
  const columns = [
    { title: "Name", fill: true, cell: (file) => html`<span class="file-name"><${Icon} name=${KIND_ICONS[playable(file.type)] ?? "file"} /><a class="strong clip" href=${href("file", file.file_id)} title=${file.name}>${file.name || "unnamed"}</a><span class="only-narrow muted num">${bytes(file.bytes)}</span></span>` },
    { title: "Size", end: true, shrink: true, narrow: "hide", cell: (file) => html`<span class="num">${bytes(file.bytes)}</span>` },
    { title: "Stored", end: true, shrink: true, narrow: "hide", cell: (file) => html`<${Ago} time=${file.created_ms} />` },
    { title: html`<span class="offscreen">Actions</span>`, end: true, shrink: true, cell: (file) => html`<${FileActions} file=${file} changed=${changed} />` },
  ];
  return html`<${Table} label="Files of this gateway" columns=${columns} rows=${files} id=${(file) => file.file_id} />`;
}

/** Files of everybody: what the metadata ledger says, without names and without content. */
export function PublicFiles({ files, withOwner = true, slots }) {
  const columns = [
    { title: "File", cell: (file) => html`<${HashLink} kind="file" hash=${file.file_id} head=${10} tail=${6} />` },
    withOwner && { title: "Owner", cell: (file) => html`<${AddressLink} address=${file.owner} />` },
    { title: "Size", end: true, cell: (file) => html`<span class="num">${bytes(file.bytes)}</span>` },
    { title: "Stored bytes", end: true, narrow: "hide", cell: (file) => html`<span class="num">${bytes(file.stored_bytes)}</span>` },
    { title: "Code", end: true, narrow: "hide", cell: (file) => html`<span class="num">${file.profile}</span>` },
    { title: "Age", end: true, cell: (file) => html`<${Ago} time=${file.created_ms} />` },
  ].filter(Boolean);
  return html`<${Table} label="Files" slots=${slots} columns=${columns} rows=${files} id=${(file) => file.file_id} />`;
}
