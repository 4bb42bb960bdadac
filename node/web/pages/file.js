// One file: what it is, how it looks when this gateway may decrypt it, and which nodes hold its slices right now.

import { filePath } from "../api.js";
import { useData } from "../data.js";
import { brief, bytes, count, moment, playable } from "../format.js";
import { Medium } from "../player.js";
import { go } from "../router.js";
import { AddressLink, Ago, Badge, Button, Copyable, Facts, Heading, html, Loaded, Panel } from "../ui.js";
import { useState } from "../vendor/hooks.js";
import { useNodes } from "./nodes.js";
import { FileActions } from "./parts.js";

const SEGMENTS_SHOWN = 24;

/** How many slices of each segment are needed: the first number of a profile like `4+2`. */
function needed(profile) {
  return Number.parseInt(String(profile ?? ""), 10) || 0;
}

function Slices({ file }) {
  const nodes = useNodes();
  const [all, setAll] = useState(false);
  const byAddress = new Map((nodes.data?.resource ?? []).map((node) => [node.address, node]));
  const segments = file.holders ?? [];
  const up = (segment) => segment.filter((address) => byAddress.get(address)?.state === "up").length;
  const fewest = segments.length ? Math.min(...segments.map(up)) : 0;
  const spare = fewest - needed(file.profile);
  const known = nodes.data && segments.length > 0;
  return html`<${Panel} title="Slices" note=${`any ${needed(file.profile)} of the ${segments[0]?.length ?? 0} slices of a segment bring it back`}
    more=${known && html`<${Badge} tone=${spare < 0 ? "bad" : spare === 0 ? "plain" : "good"}>${spare < 0 ? "not readable now" : spare === 0 ? "readable, none to spare" : `readable, ${spare} to spare`}<//>`}>
    <div class="slices" role="table" aria-label="Holders of the slices">${segments.slice(0, all ? undefined : SEGMENTS_SHOWN).map((holders, segment) => html`<div key=${segment} role="row" class="slice-row">
      <span role="rowheader" class="muted num">${segment + 1}</span>
      ${holders.map((address, index) => {
        const node = byAddress.get(address);
        const root = file.slices?.[segment]?.[index];
        return html`<span key=${index} role="cell" class=${`slice ${node?.state ?? "unknown"}${index >= needed(file.profile) ? " parity" : ""}`}
          title=${`${node?.name ?? address}: ${node?.state ?? "state unknown"}, ${index >= needed(file.profile) ? "redundancy" : "data"}${root ? `, root ${brief(root, 12, 0)}` : ""}`}><${AddressLink} address=${address} head=${4} tail=${3} /></span>`;
      })}</div>`)}</div>
    ${segments.length > SEGMENTS_SHOWN && !all && html`<p class="after-table"><${Button} onClick=${() => setAll(true)}>All ${count(segments.length)} segments<//></p>`}
  <//>`;
}

export function FilePage({ id }) {
  const file = useData(`/v1/files/${encodeURIComponent(id)}`);
  const own = useData("/v1/gateway/files");
  const mine = own.data?.find((each) => each.file_id === id);
  const path = mine && filePath(mine.url);
  return html`<${Loaded} from=${file} rows=${12} page=${["File", brief(id)]}>${(it) => html`
    <${Heading} eyebrow="File" actions=${mine && html`${path && html`<a class="button primary" href=${path} download=${mine.name || "file"}>Download</a>`}<${FileActions} brief file=${mine} removed=${() => go("files")} />`}>
      ${mine?.name ? html`<span class="break">${mine.name}</span>` : html`<span class="mono">${brief(it.file_id ?? id, 12, 8)}</span>`}<//>
    ${mine && playable(mine.type) && html`<section class=${`stage boxed ${playable(mine.type)}`} aria-label="Preview"><${Medium} file=${mine} /></section>`}
    <${Panel} label="File"><${Facts} pairs=${[
      ["File id", html`<${Copyable} text=${it.file_id ?? id} what="file id" />`],
      ["Owner", html`<${AddressLink} address=${it.owner} head=${14} tail=${8} />`],
      ["Type", mine?.type],
      ["Size", html`<span class="num" title=${`${count(it.bytes)} bytes`}>${bytes(it.bytes)}</span>`],
      ["Stored", html`<span class="num">${bytes(it.stored_bytes)}</span> <span class="muted">with redundancy, code ${it.profile}, ${count(it.segments)} ${it.segments === 1 ? "segment" : "segments"}</span>`],
      ["Recorded", html`${moment(it.created_ms)} <span class="muted">· <${Ago} time=${it.created_ms} />, metadata block <span class="num">${count(it.height)}</span></span>`],
      ["Content", !mine && html`<span class="muted">Encrypted. This gateway has no key to it; whoever has the link or the key can read it.</span>`],
    ]} /><//>
    <${Slices} file=${it} />`}<//>`;
}
