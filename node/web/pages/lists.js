// The pages behind "all": blocks, transactions, files, epochs.

import { get } from "../api.js";
import { EpochChart } from "../chart.js";
import { useData } from "../data.js";
import { DropZone } from "../dropzone.js";
import { bytes, count } from "../format.js";
import { live } from "../live.js";
import { href } from "../router.js";
import { useStore } from "../store.js";
import { Button, Empty, Heading, html, Loaded, notify, Panel, Skeleton, Stos, Table } from "../ui.js";
import { uploads } from "../upload.js";
import { useState } from "../vendor/hooks.js";
import { BlockTable, GatewayFiles, PublicFiles, TransactionTable } from "./parts.js";

const PAGE_ROWS = 30;

export function BlocksPage() {
  const newest = useStore(live, (state) => state.blocks);
  const [older, setOlder] = useState([]);
  const [busy, setBusy] = useState(false);
  const fresh = newest.slice(0, PAGE_ROWS);
  // Blocks that slid out of the live list stay visible below it once older ones have been asked for.
  const seen = new Set(fresh.map((block) => block.height));
  const between = older.length ? newest.slice(PAGE_ROWS).filter((block) => block.height > older[0].height) : [];
  const shown = [...fresh, ...between, ...older.filter((block) => !seen.has(block.height))];
  const last = shown.at(-1);
  const load = async () => {
    setBusy(true);
    try {
      const page = await get(`/v1/blocks?before=${last.height}&limit=${PAGE_ROWS}`);
      setOlder((before) => [...before, ...page.filter((block) => block.height < last.height)]);
    } catch (error) {
      notify(error.message, "bad");
    }
    setBusy(false);
  };
  return html`<${Heading}>Blocks<//><${Panel} label="Blocks">
    ${shown.length ? html`<${BlockTable} wide blocks=${shown} slots=${10} />` : html`<${Skeleton} rows=${12} />`}
    ${last?.height > 0 && html`<p class="after-table"><${Button} busy=${busy} onClick=${load}>Older blocks<//></p>`}
  <//>`;
}

export function TransactionsPage() {
  const transactions = useData("/v1/txs?limit=100", useStore(live, (state) => state.transactionsSeen));
  return html`<${Heading}>Transactions<//><${Panel} label="Transactions"><${Loaded} from=${transactions} rows=${12}>${(list) => list.length
    ? html`<${TransactionTable} wide transactions=${list} slots=${10} />`
    : html`<${Empty} title="No transactions yet">A transfer, a purchase of ozone or a settlement will show here as soon as it is final.<//>`}<//><//>`;
}

export function FilesPage() {
  const key = `${useStore(uploads, (state) => state.finished)} ${useStore(live, (state) => state.transactionsSeen)} ${useStore(live, (state) => state.status?.meta?.height)}`;
  const own = useData("/v1/gateway/files", key);
  const all = useData("/v1/files?limit=50", key);
  const changed = () => Promise.all([own.reload(), all.reload()]);
  return html`<${Heading}>Files<//>
    <${Panel} label="Upload"><${DropZone} /><//>
    <${Panel} title="Stored through this gateway" note="it keeps their keys, so it can show them"><${Loaded} from=${own} rows=${4}>${(list) => list.length
      ? html`<${GatewayFiles} files=${list.toSorted((a, b) => b.created_ms - a.created_ms)} changed=${changed} />`
      : html`<${Empty} title="No files yet">What you upload here appears here, ready to play, share or download.<//>`}<//><//>
    <${Panel} title="In the whole network" note="encrypted, so without names"><${Loaded} from=${all} rows=${6}>${(list) => list.length
      ? html`<${PublicFiles} files=${list} />`
      : html`<${Empty} title="The network stores no files yet" />`}<//><//>`;
}

const EPOCH_COLUMNS = [
  { title: "Epoch", cell: (epoch) => html`<a class="num strong" href=${href("epoch", epoch.epoch)}>${count(epoch.epoch)}</a>` },
  { title: "Carried", end: true, cell: (epoch) => html`<span class="num">${bytes(epoch.charged_noz)}</span>` },
  { title: "Receipts", end: true, narrow: "hide", cell: (epoch) => html`<span class="num">${count(epoch.receipts)}</span>` },
  { title: "Traffic reward", end: true, cell: (epoch) => html`<${Stos} wei=${epoch.traffic_reward_wei} />` },
  { title: "Mining reward", end: true, narrow: "hide", cell: (epoch) => html`<${Stos} wei=${epoch.mining_reward_wei} />` },
  { title: "Tax", end: true, narrow: "hide", cell: (epoch) => html`<${Stos} wei=${epoch.tax_wei} />` },
  { title: "Settled in block", end: true, narrow: "hide", cell: (epoch) => html`<a class="num" href=${href("block", epoch.settled_height)}>${count(epoch.settled_height)}</a>` },
];

export function EpochsPage() {
  const settled = useStore(live, (state) => state.status?.epoch?.settled);
  const epochs = useData("/v1/epochs?limit=60", settled);
  const current = useStore(live, (state) => state.status?.epoch?.number);
  const running = current !== undefined && html`<a class="button" href=${href("epoch", current)}>Epoch ${count(current)} runs</a>`;
  return html`<${Heading} actions=${running}>Epochs<//><${Loaded} from=${epochs} rows=${14}>${(list) => list.length
    ? html`<${Panel} title="Traffic and rewards" note=${`the last ${list.length} settled epochs`}><${EpochChart} epochs=${list} /><//><${Panel} label="Epochs"><${Table} label="Epochs" columns=${EPOCH_COLUMNS} rows=${list} id=${(epoch) => epoch.epoch} /><//>`
    : html`<${Panel} label="Epochs"><${Empty} title="No epoch is settled yet">The first one settles when a whole epoch has passed after its report.<//><//>`}<//>`;
}
