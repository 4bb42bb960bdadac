// One block, one transaction, one account, one epoch.

import { get } from "../api.js";
import { useData } from "../data.js";
import { brief, bytes, count, moment, percent, power } from "../format.js";
import { Records, summary } from "../generic.js";
import { live } from "../live.js";
import { useName } from "../names.js";
import { href } from "../router.js";
import { useStore } from "../store.js";
import { AddressLink, Ago, Badge, Button, Copyable, Empty, Facts, HashLink, Heading, html, Loaded, Meter, notify, Ozone, Panel, Stos, Table } from "../ui.js";
import { useState } from "../vendor/hooks.js";
import { Outcome, PublicFiles, signedBy } from "./parts.js";

const When = ({ time }) => html`${moment(time)} <span class="muted">· <${Ago} time=${time} /></span>`;
const num = (value) => html`<span class="num">${count(value)}</span>`;

/** Accounts one after the other; what is no account is a key. */
const Addresses = ({ of }) => of.map((one, index) => html`<span key=${one}>${index > 0 && ", "}${one.startsWith("st1") ? html`<${AddressLink} address=${one} />` : html`<span class="mono">${brief(one)}</span>`}</span>`);

export function BlockPage({ id }) {
  const block = useData(`/v1/blocks/${encodeURIComponent(id)}`);
  const newest = useStore(live, (state) => state.blocks[0]?.height ?? state.status?.value?.height);
  return html`<${Loaded} from=${block} rows=${12} page=${["Block", brief(id)]}>${(it) => html`
    <${Heading} eyebrow="Block" actions=${html`
      ${it.height > 0 && html`<a class="button" href=${href("block", it.height - 1)} rel="prev">Before</a>`}
      ${newest > it.height && html`<a class="button" href=${href("block", it.height + 1)} rel="next">After</a>`}`}><span class="num">${count(it.height)}</span><//>
    <${Panel} label="Block">
      <${Facts} pairs=${[
        ["Time", html`<${When} time=${it.time_ms} />`],
        ["Hash", html`<${Copyable} text=${it.hash} what="hash" />`],
        ["Parent", it.height > 0 && html`<${HashLink} kind="block" hash=${it.parent} head=${20} tail=${12} />`],
        ["State root", html`<${Copyable} text=${it.state_root} what="state root" />`],
        ["State", it.leaves !== undefined && html`${num(it.leaves)} entries`],
        ["Proposer", html`<${AddressLink} address=${it.proposer?.address} head=${14} tail=${8} />`],
        ["View", num(it.view)],
        ["Signed by", html`<span class="num">${signedBy(it)}</span>${it.signed_by?.length > 0 && html`: <${Addresses} of=${it.signed_by} />`}`],
        ["Epoch", html`<a class="num" href=${href("epoch", it.epoch)}>${count(it.epoch)}</a>${it.closes_epoch && html` <${Badge}>this block closes it<//>`}`],
        ["Space used", html`<span class="used"><${Meter} part=${it.units_used} whole=${it.units_limit} /><span class="num">${count(it.units_used)} of ${count(it.units_limit)} units <span class="muted">(${percent(it.units_used, it.units_limit)})</span></span></span>`],
        ["Base fee", html`<${Stos} wei=${it.base_fee_wei} />`],
        ["Size", html`<span class="num">${bytes(it.bytes)}</span>`],
      ]} />
    <//>
    <${Panel} title="Transactions" note=${it.txs?.length ? count(it.txs.length) : ""}>${it.txs?.length
      ? html`<ol class="lines">${it.txs.map((hash) => html`<li key=${hash}><${HashLink} kind="tx" hash=${hash} head=${24} tail=${12} /></li>`)}</ol>`
      : html`<${Empty} title="No transactions in this block" />`}<//>`}<//>`;
}

export function TransactionPage({ id }) {
  const transaction = useData(`/v1/txs/${encodeURIComponent(id)}`, useStore(live, (state) => state.transactionsSeen));
  return html`<${Loaded} from=${transaction} rows=${10} page=${["Transaction", brief(id)]}>${(it) => it.state === "unknown"
    ? html`<${Heading} eyebrow="Transaction">Not known<//><${Panel} label="Transaction"><${Empty} title="This gateway has not seen this transaction">If it was sent a moment ago, this page shows it as soon as it is final.<//><//>`
    : html`<${Heading} eyebrow="Transaction">${summary(it)}<//>
    <${Panel} label="Transaction">
      <${Facts} pairs=${[
        ["Result", html`<${Outcome} transaction=${it} />${it.error && html` <span class="break">${it.error}</span>`}`],
        ["Hash", html`<${Copyable} text=${it.hash ?? id} what="hash" />`],
        ["Block", it.height !== null && it.height !== undefined && html`<a class="num" href=${href("block", it.height)}>${count(it.height)}</a>${it.index !== null && it.index !== undefined && html`<span class="muted num"> · position ${it.index}</span>`}`],
        ["From", html`<${AddressLink} address=${it.sender} head=${14} tail=${8} />`],
        ["Nonce", it.nonce !== undefined && num(it.nonce)],
        ["Fee", it.fee_wei !== undefined && it.fee_wei !== null && html`<${Stos} wei=${it.fee_wei} />${it.units ? html`<span class="muted num"> · ${count(it.units)} units</span>` : ""}`],
        ["Memo", it.memo && html`<span class="break">${it.memo}</span>`],
      ]} />
    <//>
    <${Panel} title="Messages">${it.messages?.length ? html`<${Records} list=${it.messages} kind="kind" />` : html`<${Empty} title="No messages" />`}<//>
    <${Panel} title="Events">${it.events?.length ? html`<${Records} list=${it.events} kind="event" />` : html`<${Empty} title="No events">${it.state === "waiting" ? "Events appear when the transaction is final." : ""}<//>`}<//>`}<//>`;
}

const STAKE_COLUMNS = [
  { title: "Validator", cell: (row) => html`<${AddressLink} address=${row.validator} />` },
  { title: "Stake", end: true, cell: (row) => html`<${Stos} wei=${row.stake_wei} />` },
  { title: "On its way out", end: true, cell: (row) => (row.leaving.length ? row.leaving.map((each) => html`<span key=${each.epoch} class="block"><${Stos} wei=${each.amount_wei} /> <span class="muted num">from epoch ${count(each.due_epoch)} on</span></span>`) : html`<span class="muted">–</span>`) },
];

function StakePanel({ id, height }) {
  const { data } = useData(`/v1/accounts/${encodeURIComponent(id)}/stake`, height);
  if (!data?.delegations?.length) return null;
  return html`<${Panel} title="Stake" note=${data.is_complete ? "" : `with the ${count(data.asked)} greatest validators`}><${Table} label="Stake" columns=${STAKE_COLUMNS} rows=${data.delegations} id=${(row) => row.validator} /><//>`;
}

// A page of another site is opened only if it is one: a link could say anything.
function Profile({ of }) {
  const fields = [["Name", of.name], ["Website", /^https?:\/\//.test(of.website) ? html`<a href=${of.website} rel="noopener noreferrer nofollow" target="_blank">${of.website}</a>` : of.website], ["Contact", of.contact], ["Details", of.details]];
  return html`<${Panel} title="Profile" note="as the operator writes it; nobody vouches for it"><dl class="fields">${fields.filter(([, value]) => value).map(([title, value]) => html`<div key=${title}><dt>${title}</dt><dd class="break">${value}</dd></div>`)}</dl><//>`;
}

const EVENT_COLUMNS = [
  { title: "What happened", cell: (row) => html`<${Records} list=${[row.event]} kind="event" />` },
  { title: "When", end: true, cell: (row) => html`<span class="block"><${Ago} time=${row.time_ms} /></span><a class="num" href=${row.transaction ? href("tx", row.transaction) : href("block", row.height)}>block ${count(row.height)}</a>` },
];
const EVENTS_SHOWN = 20;

// What happened to an account, newest first. What was seen stays, as where an event is never changes, until more happens at once than a page shows: then the
// list begins anew, so that nothing is missing inside it.
function HistoryPanel({ id, height }) {
  const path = `/v1/events?address=${encodeURIComponent(id)}&limit=${EVENTS_SHOWN}`;
  const newest = useData(path, height);
  const [older, setOlder] = useState({ events: [], next: undefined });
  const [busy, setBusy] = useState(false);
  const rows = newest.data?.events ?? [];
  const seen = new Set(older.events.map((row) => row.cursor));
  const meets = rows.some((row) => seen.has(row.cursor));
  const shown = meets ? [...rows.filter((row) => !seen.has(row.cursor)), ...older.events] : rows;
  const next = meets ? older.next : newest.data?.next;
  const load = async () => {
    setBusy(true);
    try {
      const page = await get(`${path}&after=${encodeURIComponent(next)}`);
      setOlder({ events: [...shown, ...page.events], next: page.next });
    } catch (error) {
      notify(error.message, "bad");
    }
    setBusy(false);
  };
  return html`<${Panel} title="History"><${Loaded} from=${newest} rows=${4}>${(it) => html`
    ${shown.length
      ? html`<${Table} label="History" columns=${EVENT_COLUMNS} rows=${shown} id=${(row) => row.cursor} />`
      : html`<${Empty} title="Nothing happened to this account">This gateway knows blocks ${count(it.oldest)} to ${count(it.newest)}.<//>`}
    ${next && html`<p class="after-table"><${Button} busy=${busy} onClick=${load}>Older events<//></p>`}`}<//><//>`;
}

export function AccountPage({ id }) {
  const height = useStore(live, (state) => state.blocks[0]?.height);
  const account = useData(`/v1/accounts/${encodeURIComponent(id)}`, height);
  const files = useData(`/v1/files?owner=${encodeURIComponent(id)}&limit=50`);
  const name = useName(id);
  return html`<${Heading} eyebrow=${name ? `Account of ${name}` : "Account"}><span class="mono break account-title">${id}</span><//>
    ${account.data === undefined ? html`<${Panel} label="Account"><${Loaded} from=${account} rows=${6}><//><//>` : html`<${Loaded} from=${account}>${(it) => html`<section class="figures boxed" aria-label="Balances">
      <div class="figure"><h2>Balance</h2><p class="figure-value"><${Stos} wei=${it.balance_wei} /></p><p class="figure-note muted num">nonce ${count(it.nonce)}</p></div>
      <div class="figure"><h2>Ozone</h2><p class="figure-value"><${Ozone} noz=${it.noz} /></p><p class="figure-note muted">moves ${bytes(it.noz)}, paid <${Stos} wei=${it.ozone_cost_wei} /></p></div>
      <div class="figure"><h2>Reward</h2><p class="figure-value"><${Stos} wei=${it.reward?.mature_wei} /></p><p class="figure-note muted">ready to withdraw, <${Stos} wei=${it.reward?.immature_wei} /> maturing</p></div>
    </section>
    ${it.profile && html`<${Profile} of=${it.profile} />`}
    <${StakePanel} id=${id} height=${height} />
    <${HistoryPanel} key=${id} id=${id} height=${height} />
    <${Panel} title="Files of this account"><${Loaded} from=${files} rows=${4}>${(list) => list.length
      ? html`<${PublicFiles} files=${list} withOwner=${false} />`
      : html`<${Empty} title="This account stores no files" />`}<//><//>`}<//>`}`;
}

const address = (title) => ({ title, cell: (row) => html`<${AddressLink} address=${row.address} head=${12} tail=${6} />` });
const carried = { title: "Carried", end: true, cell: (row) => html`<span class="num">${bytes(row.noz)}</span>` };
const reward = { title: "Reward", end: true, cell: (row) => html`<${Stos} wei=${row.reward_wei} />` };
// Two columns of lists: who carried, who paid.
const EPOCH_LISTS = [[
  ["carriers", "Carriers", [address("Resource node"), carried, reward]],
  ["metas", "Meta nodes", [address("Meta node"), reward]],
], [
  ["payers", "Payers", [address("Account"), { ...carried, title: "Charged" }, { title: "Released to rewards", end: true, cell: (row) => html`<${Stos} wei=${row.released_wei} />` }]],
  ["validators", "Validators", [address("Validator"), reward]],
]];

const VOTER_COLUMNS = [
  { title: "Validator", cell: (row) => html`<${AddressLink} address=${row.address} head=${12} tail=${6} />` },
  { title: "Weight", end: true, cell: (row) => html`<span class="num">${count(row.weight)}</span>` },
  { title: "Voting power", cell: (row) => html`<span class="used"><${Meter} part=${row.power_bp} whole=${10_000} label=${`${power(row)} of all votes`} /><span class="num">${power(row)}</span></span>` },
];
const CHANGE_COLUMNS = [
  { title: "Validator", cell: (row) => html`<${AddressLink} address=${row.address} head=${12} tail=${6} />` },
  { title: "Change", cell: (row) => (row.weight_before === 0 ? html`<${Badge} tone="good">joined<//>` : row.weight === 0 ? html`<${Badge} tone="bad">left<//>` : row.weight > row.weight_before ? "more stake" : "less stake") },
  { title: "Before", end: true, cell: (row) => html`<span class="num">${count(row.weight_before)}</span>` },
  { title: "Now", end: true, cell: (row) => html`<span class="num">${count(row.weight)}</span>` },
];

// Who votes in an epoch is fixed when it begins; what its traffic cost is known some seconds after it ended.
function Voters({ id }) {
  const epoch = useData(`/v1/epochs/${encodeURIComponent(id)}/voters`, useStore(live, (state) => state.status?.epoch?.number));
  if (epoch.data === undefined) return null;
  const { voters, changes, events } = epoch.data;
  return html`<div class="grid-two">
    <${Panel} title="Voters" note=${voters ? `${count(voters.length)}, by stake in stos` : ""}>${voters
      ? html`<${Table} label="Voters" columns=${VOTER_COLUMNS} rows=${voters} id=${(row) => row.address} />`
      : html`<${Empty} title="This gateway no longer knows who voted">Headers keep the hash of the voters only.<//>`}<//>
    <${Panel} title="Changes" note="against the epoch before">${changes === null
      ? html`<${Empty} title="This gateway no longer knows who voted before" />`
      : changes.length
        ? html`<${Table} label="Changes" columns=${CHANGE_COLUMNS} rows=${changes} id=${(row) => row.address} />`
        : html`<${Empty} title="The voters and their weights stayed the same" />`}
      ${events.length > 0 && html`<${Records} list=${events} kind="event" />`}<//></div>`;
}

function Settlement({ it }) {
  return html`<section class="figures boxed" aria-label="The epoch in numbers">
      <div class="figure"><h2>Carried and charged</h2><p class="figure-value num">${bytes(it.charged_noz)}</p><p class="figure-note muted"><${Ozone} noz=${it.charged_noz} />, ${count(it.receipts)} receipts in ${count(it.parts)} ${it.parts === 1 ? "part" : "parts"}</p></div>
      <div class="figure"><h2>Traffic reward</h2><p class="figure-value"><${Stos} wei=${it.traffic_reward_wei} /></p><p class="figure-note muted">what payers had paid for these bytes</p></div>
      <div class="figure"><h2>Mining reward</h2><p class="figure-value"><${Stos} wei=${it.mining_reward_wei} /></p><p class="figure-note muted">from the reserve</p></div>
      <div class="figure"><h2>Community tax</h2><p class="figure-value"><${Stos} wei=${it.tax_wei} /></p><p class="figure-note muted">settled in block <a class="num" href=${href("block", it.settled_height)}>${count(it.settled_height)}</a></p></div>
    </section>
    <div class="grid-two">${EPOCH_LISTS.map((side, index) => html`<div key=${index}>${side.map(([field, title, columns]) => html`<${Panel} key=${field} title=${title}>${it[field]?.length
      ? html`<${Table} label=${title} columns=${columns} rows=${it[field]} id=${(row) => row.address} />`
      : html`<${Empty} title=${field === "carriers" || field === "payers" ? "No traffic in this epoch" : "Nothing earned in this epoch"} />`}<//>`)}</div>`)}</div>`;
}

const PART_COLUMNS = [
  { title: "Part", cell: (row) => html`<span class="num">${count(row.number)}</span>` },
  { title: "Carried", end: true, cell: (row) => html`<span class="num">${bytes(row.noz)}</span>` },
  { title: "Receipts", end: true, cell: (row) => html`<span class="num">${count(row.receipts)}</span>` },
  { title: "Carriers", end: true, narrow: "hide", cell: (row) => html`<span class="num">${count(row.carriers)}</span>` },
  { title: "Size", end: true, narrow: "hide", cell: (row) => html`<span class="num">${bytes(row.bytes)}</span>` },
  { title: "Brought by", end: true, cell: (row) => (row.transaction ? html`<${HashLink} kind="tx" hash=${row.transaction} />` : html`<a class="num" href=${href("block", row.height)}>block ${count(row.height)}</a>`) },
];

const CHECK_TONES = [[true, "good", "holds"], [false, "bad", "does not hold"], [null, "plain", "not checked"]];
function Checks({ list }) {
  return html`<ul class="lines checks">${list.map((check) => {
    const [, tone, text] = CHECK_TONES.find(([holds]) => holds === check.holds) ?? CHECK_TONES[2];
    return html`<li key=${check.what}><${Badge} tone=${tone}>${text}<//> <strong>${check.what}</strong> <span class="muted break">${check.detail}</span></li>`;
  })}</ul>`;
}

const RECEIPT_COLUMNS = [
  { title: "Carrier", cell: (row) => html`<${AddressLink} address=${row.carrier} />` },
  { title: "Payer", cell: (row) => html`<${AddressLink} address=${row.payer} />` },
  { title: "For", narrow: "hide", cell: (row) => row.class },
  { title: "Signed for", end: true, cell: (row) => html`<span class="num">${bytes(row.bytes)}</span>` },
];
const RECEIPTS_SHOWN = 200;

// The receipts of a part; this gateway checks every signature each time it is asked for them.
function PartReceipts({ epoch, number }) {
  const part = useData(`/v1/epochs/${epoch}/report/${number}`);
  return html`<${Panel} title=${`Receipts of part ${count(number)}`} note=${part.data && part.data.receipts.length > RECEIPTS_SHOWN ? `the first ${count(RECEIPTS_SHOWN)} of ${count(part.data.receipts.length)}` : ""}>
    <${Loaded} from=${part} rows=${6}>${(it) => html`<${Checks} list=${it.checks} />
      <${Table} label="Receipts" columns=${RECEIPT_COLUMNS} rows=${it.receipts.slice(0, RECEIPTS_SHOWN)} id=${(row) => `${row.carrier} ${row.payer} ${row.session} ${row.class}`} />`}<//><//>`;
}

const STAGES = {
  open: ["Not reported yet", "The meta nodes report an epoch some seconds after it ended."],
  challenged: ["Reported", "Carriers that the report left out may claim directly."],
  settled: ["Settled", ""],
};

// What the meta nodes certified of an epoch, and every check that anyone can make of it.
function Report({ id, settled }) {
  const report = useData(`/v1/epochs/${id}/report`, `${settled} ${useStore(live, (state) => state.status?.epoch?.number)}`);
  const it = report.data;
  if (it === undefined || it.stage === "open") return null;
  const [stage, what] = STAGES[it.stage] ?? STAGES.open;
  const { certificate } = it;
  return html`<${Panel} title="Report" note=${it.settled_with === null ? stage : `${stage}: settled when epoch ${count(it.settled_with)} begins. ${what}`}>
      ${it.is_condemned && html`<${Empty} title="The report was proven false">Its carriers claim directly what was reserved for them.<//>`}
      ${certificate && html`<${Facts} pairs=${[
        ["Hash", html`<${Copyable} text=${it.hash} what="hash of the report" />`],
        ["Complete with block", html`<a class="num" href=${href("block", it.reported_height)}>${count(it.reported_height)}</a>`],
        ["Certified in", html`block <span class="num">${count(certificate.height)}</span> of the metadata ledger`],
        ["Certified by", html`<span class="num">${certificate.signers.length}${certificate.members === null ? "" : ` of ${count(certificate.members)}`}</span> meta nodes: <${Addresses} of=${certificate.signers} />`],
        ["Claimed directly", it.direct.length > 0 && it.direct.map((carrier, index) => html`<span key=${carrier}>${index > 0 && ", "}<${AddressLink} address=${carrier} /></span>`)],
      ]} />`}
      ${it.checks.length > 0 && html`<${Checks} list=${it.checks} />`}
      ${it.parts.length > 0 && html`<${Table} label="Parts" columns=${PART_COLUMNS} rows=${it.parts} id=${(row) => row.number} />`}
    <//>
    ${it.parts.slice(0, 1).map((part) => html`<${PartReceipts} key=${part.hash} epoch=${id} number=${part.number} />`)}`;
}

export function EpochPage({ id }) {
  const settled = useStore(live, (state) => state.status?.epoch?.settled);
  const current = useStore(live, (state) => state.status?.epoch?.number);
  const epoch = useData(`/v1/epochs/${encodeURIComponent(id)}`, settled);
  const isOpen = epoch.data === undefined && epoch.error?.status === 404 && current !== undefined && Number(id) > (settled ?? -1);
  if (isOpen && Number(id) > current) {
    return html`<${Heading} eyebrow="Epoch">${count(id)}<//><${Panel} label="Epoch"><${Empty} title="This epoch has not begun">This is epoch ${count(current)}.<//><//>`;
  }
  const number = epoch.data?.epoch ?? Number(id);
  if (epoch.data === undefined && !isOpen) return html`<${Loaded} from=${epoch} rows=${12} page=${["Epoch", brief(id)]}><//>`;
  return html`<${Heading} eyebrow="Epoch" actions=${html`
      ${number > 0 && html`<a class="button" href=${href("epoch", number - 1)} rel="prev">Before</a>`}
      ${current > number && html`<a class="button" href=${href("epoch", number + 1)} rel="next">After</a>`}`}><span class="num">${count(number)}</span><//>
    ${isOpen
      ? html`<${Panel} label="Settlement"><${Empty} title=${Number(id) === current ? "This epoch runs" : "This epoch is not settled yet"}>What its traffic cost and earned shows here as soon as it is final.<//><//>`
      : html`<${Settlement} it=${epoch.data} />`}
    <${Report} id=${number} settled=${settled} />
    <${Voters} id=${number} />`;
}
