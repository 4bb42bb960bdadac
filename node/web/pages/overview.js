// The first page: the chain as it grows, and one panel for each thing one may ask about.

import { EpochChart } from "../chart.js";
import { useData } from "../data.js";
import { DropZone } from "../dropzone.js";
import { count, priceParts } from "../format.js";
import { live, now } from "../live.js";
import { href } from "../router.js";
import { useStore } from "../store.js";
import { Ago, Empty, html, Loaded, Meter, Ozone, Panel, Skeleton, Stos, useTick } from "../ui.js";
import { uploads } from "../upload.js";
import { NodeGroups, useNodes } from "./nodes.js";
import { BlockTable, GatewayFiles, TransactionTable } from "./parts.js";
import { Supply } from "./supply.js";

const LIST_ROWS = 8;
const FILES_SHOWN = 5;
const BARS = 72;

const More = ({ to, children }) => html`<a class="more" href=${href(to)}>${children}</a>`;

// The newest blocks as a skyline: an empty block is a dash, the fullest one reaches the top; the block that closes an epoch has a dot below. The
// list of blocks says the same in words.
function Skyline({ blocks }) {
  const shown = blocks.slice(0, BARS);
  const fullest = Math.max(...shown.map((block) => block.units_used), 1);
  const height = (block) => (block.units_used > 0 ? 14 + 86 * Math.sqrt(block.units_used / fullest) : 4);
  return html`<div class="skyline" aria-hidden="true">${shown.map((block) => html`<a key=${block.height} tabindex="-1" href=${href("block", block.height)} class=${block.closes_epoch ? "closes" : ""}
    title=${`Block ${count(block.height)}: ${count(block.txs?.length ?? 0)} transactions`}><i style=${{ height: `${height(block)}%` }}></i></a>`)}</div>`;
}

function EpochProgress({ epoch }) {
  useTick(500);
  const passed = Math.max(0, now() - epoch.started_ms);
  const left = Math.ceil((epoch.length_ms - passed) / 1000);
  return html`<${Meter} part=${Math.min(passed, epoch.length_ms)} whole=${epoch.length_ms} label="Progress of the epoch" />
    <span class="muted num">${left > 0 ? `${left} s left` : "closing"} · settled to ${count(epoch.settled)}</span>`;
}

function Figure({ title, value, unit, children }) {
  return html`<div class="figure"><h2>${title}</h2><p class="figure-value num">${value}${unit && html`<span class="unit">${" "}${unit}</span>`}</p><p class="figure-note">${children}</p></div>`;
}

function Hero() {
  const status = useStore(live, (state) => state.status);
  const blocks = useStore(live, (state) => state.blocks);
  const price = priceParts(status?.market?.price_wei_per_noz);
  const newest = blocks[0];
  return html`<section class="hero" aria-label="The network now">
    <div class="hero-top">
      <div><p class="eyebrow">${status ? html`${status.chain_id}${status.dev ? " · development network" : ""}` : "Connecting"}</p>
        <h1 class="height num" tabindex="-1">${count(newest?.height ?? status?.value?.height)}</h1>
        <p class="muted">blocks final${newest && html`, the last one <${Ago} time=${newest.time_ms} />`}</p></div>
      <${Skyline} blocks=${blocks} />
    </div>
    <div class="figures">
      <${Figure} title="Epoch" value=${count(status?.epoch?.number)}>${status?.epoch && html`<${EpochProgress} epoch=${status.epoch} />`}<//>
      <${Figure} title="Ozone price" value=${price.text} unit=${price.unit && `${price.unit} / oz`}><span class="muted">1 oz moves 1 GB · for sale <${Ozone} noz=${status?.market?.for_sale_noz} /></span><//>
      <${Figure} title="Prepaid traffic" value=${html`<${Ozone} noz=${status?.market?.sold_noz} />`}><span class="muted">sold and not yet used, worth <${Stos} wei=${status?.market?.prepaid_wei} /></span><//>
      <${Figure} title="Gateway's ozone" value=${html`<${Ozone} noz=${status?.gateway?.noz} />`}><span class="muted">pays for uploads from this page</span><//>
    </div>
  </section>`;
}

const newest = (files) => files.toSorted((a, b) => b.created_ms - a.created_ms).slice(0, FILES_SHOWN);

function Files() {
  const finished = useStore(uploads, (state) => state.finished);
  const settled = useStore(live, (state) => state.transactionsSeen);
  const files = useData("/v1/gateway/files", `${finished} ${settled}`);
  return html`<${Panel} title="Files" extra="files" more=${html`<${More} to="files">All files<//>`}>
    <div class="files-split"><${DropZone} />
    <div class="files-list"><${Loaded} from=${files} rows=${FILES_SHOWN}>${(list) => list.length
      ? html`<${GatewayFiles} files=${newest(list)} changed=${files.reload} />`
      : html`<${Empty} title="No files yet">What you upload here appears here, ready to play, share or download.<//>`}<//></div></div>
  <//>`;
}

function Chain() {
  const blocks = useStore(live, (state) => state.blocks);
  const seen = useStore(live, (state) => state.transactionsSeen);
  const transactions = useData(`/v1/txs?limit=${LIST_ROWS}`, seen);
  return html`<div class="pair">
    <${Panel} title="Blocks" more=${html`<${More} to="blocks">All blocks<//>`}>
      ${blocks.length ? html`<${BlockTable} blocks=${blocks.slice(0, LIST_ROWS)} slots=${LIST_ROWS} />` : html`<${Skeleton} rows=${LIST_ROWS} />`}
    <//>
    <${Panel} title="Transactions" more=${html`<${More} to="txs">All transactions<//>`}>
      <${Loaded} from=${transactions} rows=${LIST_ROWS}>${(list) => list.length
        ? html`<${TransactionTable} transactions=${list.slice(0, LIST_ROWS)} slots=${LIST_ROWS} />`
        : html`<${Empty} title="No transactions yet">A transfer, a purchase of ozone or a settlement will show here as soon as it is final.<//>`}<//>
    <//>
  </div>`;
}

function Epochs() {
  const settled = useStore(live, (state) => state.status?.epoch?.settled);
  const epochs = useData("/v1/epochs?limit=30", settled);
  return html`<${Panel} title="Traffic and rewards" extra="chart-panel" more=${html`<${More} to="epochs">All epochs<//>`}>
    <div class="chart-place"><${Loaded} from=${epochs} rows=${9}>${(list) => list.length
      ? html`<${EpochChart} epochs=${list} />`
      : html`<${Empty} title="No epoch is settled yet">The first one settles when a whole epoch has passed after its report.<//>`}<//></div>
  <//>`;
}

function Nodes() {
  const nodes = useNodes();
  return html`<${Panel} title="Nodes" more=${html`<${More} to="nodes">Details<//>`}><${Loaded} from=${nodes} rows=${9}>${(groups) => html`<${NodeGroups} nodes=${groups} changed=${nodes.reload} />`}<//><//>`;
}

export function Overview() {
  return html`<${Hero} /><${Files} /><div class="pair wide-left"><${Epochs} /><${Nodes} /></div><${Chain} /><${Supply} />`;
}
