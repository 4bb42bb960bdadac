// Who runs the network and how each of them is; in a development network each can be stopped and started again.

import { change } from "../api.js";
import { useData } from "../data.js";
import { brief, bytes, capital, count, points, power } from "../format.js";
import { live } from "../live.js";
import { learnNodes } from "../names.js";
import { href } from "../router.js";
import { createStore, useStore } from "../store.js";
import { AddressLink, Badge, Button, Copyable, Empty, Heading, html, Loaded, Meter, notify, Ozone, Panel, State, Stos, Table, useTick } from "../ui.js";
import { useEffect, useState } from "../vendor/hooks.js";

const REFRESH_MS = 3000;

const shared = createStore({ data: undefined, error: null, reload: () => {} });

/** Keeps the nodes fresh for the whole page: called once, by its frame. */
export function useNodesWatch() {
  const { data, error, reload } = useData("/v1/nodes", useTick(REFRESH_MS));
  useEffect(() => {
    if (data) learnNodes(data);
    shared.set({ data, error, reload });
  }, [data, error, reload]);
}

export function useNodes() {
  return useStore(shared, (state) => state);
}

function Switch({ node, changed }) {
  const dev = useStore(live, (state) => state.status?.dev === true);
  const [busy, setBusy] = useState(false);
  if (!dev || !["up", "stopped"].includes(node.state)) return null;
  const act = node.state === "up" ? "stop" : "start";
  const press = async () => {
    setBusy(true);
    try {
      await change("POST", `/v1/dev/nodes/${encodeURIComponent(node.name)}/${act}`);
      await changed();
    } catch (error) {
      notify(error.message, "bad");
    }
    setBusy(false);
  };
  return html`<${Button} quiet icon=${act === "stop" ? "stop" : "play"} label=${`${act === "stop" ? "Stop" : "Start"} ${node.name}`} busy=${busy} onClick=${press} />`;
}

function NodeLine({ node, note, changed }) {
  return html`<li class="node"><${State} state=${node.state} /><a class="strong" href=${href("account", node.address)}>${node.name}</a><span class="node-note muted num">${note}</span><${Switch} node=${node} changed=${changed} /></li>`;
}

function Group({ title, list, note, changed }) {
  const up = list.filter((node) => node.state === "up").length;
  return html`<div class="node-group"><h3>${title}<span class="muted num">${up} of ${list.length} up</span></h3>
    <ul>${list.map((node) => html`<${NodeLine} key=${node.name} node=${node} note=${note(node)} changed=${changed} />`)}</ul></div>`;
}

/** The short form for the first page. */
export function NodeGroups({ nodes, changed }) {
  return html`<div class="node-groups">
    <${Group} title="Validators" list=${nodes.validators ?? []} note=${(node) => [node.status !== "active" && node.status, node.height && `height ${count(node.height)}`].filter(Boolean).join(", ")} changed=${changed} />
    <${Group} title="Meta nodes" list=${nodes.meta ?? []} note=${(node) => node.status} changed=${changed} />
    <${Group} title="Resource nodes" list=${nodes.resource ?? []} note=${(node) => html`${bytes(node.used_bytes)}<span class="hide-narrow"> in ${count(node.slices)} slices</span>`} changed=${changed} />
  </div>`;
}

// What an operator calls itself stands beside the name that the network knows it by: nobody vouches for it.
const name = { title: "Node", cell: (node) => html`<a class="strong" href=${href("account", node.address)}>${node.name}</a>${node.profile?.name && html`<span class="muted block break called" title="as its operator calls itself">${node.profile.name}</span>`}` };
const state = { title: "State", shrink: true, cell: (node) => html`<${State} state=${node.state} />` };
const status = { title: "Status", narrow: "hide", cell: (node) => capital(node.status) };
const deposit = { title: "Deposit", end: true, narrow: "hide", cell: (node) => html`<${Stos} wei=${node.deposit_wei} />` };
const toggle = (changed) => ({ title: html`<span class="offscreen">Stop or start</span>`, end: true, shrink: true, cell: (node) => html`<${Switch} node=${node} changed=${changed} />` });

const STANDING_TONES = { active: "good", jailed: "bad", tombstoned: "bad" };
const seen = ({ attendance: it }) => (it ? html`<span class="num" title=${`proposed ${count(it.proposed)}, let ${count(it.skipped)} turns pass`}>${count(it.signed)} of ${count(it.certificates)}</span>` : html`<span class="muted">–</span>`);
const VALIDATOR = [name, state,
  { title: "Status", cell: (node) => html`<${Badge} tone=${STANDING_TONES[node.status]}>${node.status}${node.status === "jailed" && html`<span class="hide-narrow"> until epoch ${count(node.until)}</span>`}<//>` },
  { title: "Voting power", narrow: "hide", cell: (node) => (node.weight ? html`<span class="used"><${Meter} part=${node.power_bp} whole=${10_000} label=${`${node.name} has ${power(node)} of all votes`} /><span class="num">${power(node)}</span></span>` : html`<span class="muted">–</span>`) },
  { title: "Stake", end: true, narrow: "hide", cell: (node) => html`<${Stos} wei=${node.stake_wei} />` },
  { title: "Commission", end: true, narrow: "hide", cell: (node) => (node.status === "standby" ? html`<span class="muted">–</span>` : html`<span class="num">${points(node.commission_bp)}</span>`) },
  { title: "Signed this epoch", end: true, narrow: "hide", cell: seen },
  { title: "Height", end: true, narrow: "hide", cell: (node) => html`<span class="num">${count(node.height)}</span>` }];
const META = [name, state, status, deposit];
const RESOURCE = [name, state, status,
  { title: "Used", cell: (node) => html`<span class="used"><${Meter} part=${node.used_bytes} whole=${node.capacity_bytes} label=${`${node.name} has used ${bytes(node.used_bytes)} of ${bytes(node.capacity_bytes)}`} /><span class="num">${bytes(node.used_bytes)}<span class="muted hide-narrow"> of ${bytes(node.capacity_bytes)}</span></span></span>` },
  { title: "Slices", end: true, narrow: "hide", cell: (node) => html`<span class="num">${count(node.slices)}</span>` },
  { title: "Carried last epoch", end: true, narrow: "hide", cell: (node) => html`<span class="num">${bytes(node.carried_noz)}</span>` }, deposit];

function NodeTable({ title, note, columns, list, changed, empty }) {
  return html`<${Panel} title=${title} note=${note}>${list.length
    ? html`<${Table} label=${title} columns=${[...columns, toggle(changed)]} rows=${list} id=${(node) => node.name} />`
    : html`<${Empty} title=${empty} />`}<//>`;
}

function Reach({ nodes }) {
  const list = [...(nodes.meta ?? []), ...(nodes.resource ?? [])].filter((node) => node.peer);
  if (!list.length) return null;
  return html`<${Panel} label="How to reach them"><details><summary>Peer ids and addresses</summary>
    <dl class="facts">${list.map((node) => html`<div key=${node.name}><dt>${node.name}</dt><dd><${Copyable} text=${node.peer} what=${`peer id of ${node.name}`} />
      ${(node.addresses ?? []).map((address) => html`<span key=${address} class="mono muted break block">${address}</span>`)}</dd></div>`)}</dl></details><//>`;
}

// There is nothing to say until somebody does it.
function Contradictions({ epoch }) {
  const { data } = useData("/v1/evidence", epoch);
  if (!data?.kept?.length && !data?.offences?.length) return null;
  return html`<${Panel} title="Contradictions" note="two votes of one validator that no honest one can have cast">
    ${data.offences.length > 0 && html`<${Table} label="Offences" id=${(row) => row.address} rows=${data.offences} columns=${[
      { title: "Tombstoned", cell: (row) => html`<${AddressLink} address=${row.address} />` },
      { title: "In epoch", end: true, cell: (row) => html`<a class="num" href=${href("epoch", row.epoch)}>${count(row.epoch)}</a>` },
      { title: "Weight", end: true, cell: (row) => html`<span class="num">${count(row.weight)} of ${count(row.total)}</span>` },
      { title: "Slashed after epoch", end: true, cell: (row) => html`<span class="num">${count(row.until)}</span>` }]} />`}
    ${data.kept.length > 0 && html`<${Table} label="Proofs" id=${(row) => `${row.epoch} ${row.member}`} rows=${data.kept} columns=${[
      { title: "Proof against", cell: (row) => (row.address ? html`<${AddressLink} address=${row.address} />` : html`member ${count(row.member)}`) },
      { title: "In epoch", end: true, cell: (row) => html`<a class="num" href=${href("epoch", row.epoch)}>${count(row.epoch)}</a>` },
      { title: "Said", cell: (row) => row.votes.map((vote) => `${vote.kind}${vote.block ? ` ${brief(vote.block)}` : ""} in view ${vote.view}`).join(", and ") }]} />`}<//>`;
}

export function NodesPage() {
  const epoch = useStore(live, (state) => state.status?.epoch?.number);
  const nodes = useNodes();
  const dev = useStore(live, (current) => current.status?.dev === true);
  return html`<${Heading}>Nodes<//>
    ${dev && html`<p class="lead muted">This is a development network: stop a node and watch files stay readable and blocks go on.</p>`}
    <${Loaded} from=${nodes} rows=${12}>${(groups) => html`
      <${NodeTable} title="Validators" note="agree on the value ledger" columns=${VALIDATOR} list=${groups.validators ?? []} changed=${nodes.reload} empty="No validators" />
      <${Contradictions} epoch=${epoch} />
      <${NodeTable} title="Meta nodes" note="keep the index of files and issue tickets" columns=${META} list=${groups.meta ?? []} changed=${nodes.reload} empty="No meta nodes" />
      <${NodeTable} title="Resource nodes" note="keep the slices and carry the traffic" columns=${RESOURCE} list=${groups.resource ?? []} changed=${nodes.reload} empty="No resource nodes" />
      <${Reach} nodes=${groups} />`}<//>`;
}
