// The explorer: the frame of every page, which page the address asks for, and how the connection is.

import { useDrop } from "./dropzone.js";
import { live, refresh, start } from "./live.js";
import { learnGateway } from "./names.js";
import { BlockPage, TransactionPage, AccountPage, EpochPage } from "./pages/details.js";
import { FilePage } from "./pages/file.js";
import { BlocksPage, EpochsPage, FilesPage, TransactionsPage } from "./pages/lists.js";
import { NodesPage, useNodesWatch } from "./pages/nodes.js";
import { Overview } from "./pages/overview.js";
import { Player } from "./player.js";
import { href, useRoute } from "./router.js";
import { Search } from "./search.js";
import { useStore } from "./store.js";
import { Button, Heading, html, Empty, Notices, Panel, useTick } from "./ui.js";
import { guardUnload } from "./upload.js";
import { useEffect } from "./vendor/hooks.js";
import { render } from "./vendor/preact.js";

// name: [component, title, the entry of the menu it belongs to]
const PAGES = {
  "": [Overview, "Overview", ""],
  files: [FilesPage, "Files", "files"],
  file: [FilePage, "File", "files"],
  nodes: [NodesPage, "Nodes", "nodes"],
  blocks: [BlocksPage, "Blocks", "blocks"],
  block: [BlockPage, "Block", "blocks"],
  txs: [TransactionsPage, "Transactions", "txs"],
  tx: [TransactionPage, "Transaction", "txs"],
  epochs: [EpochsPage, "Epochs", "epochs"],
  epoch: [EpochPage, "Epoch", "epochs"],
  account: [AccountPage, "Account", null],
};
const MENU = [["", "Overview"], ["files", "Files"], ["nodes", "Nodes"], ["blocks", "Blocks"], ["txs", "Transactions"], ["epochs", "Epochs"]];
const NEEDS_ID = ["file", "block", "tx", "epoch", "account"];

const LINKS = {
  starting: ["plain", "Starting", "The gateway is starting"],
  live: ["good", "Live", "Blocks arrive as they are final"],
  polling: ["plain", "Polling", "The event stream is closed; the page asks every two seconds"],
  stalled: ["bad", "Stalled", "The gateway sees no new blocks"],
  lost: ["bad", "Offline", "The gateway does not answer"],
};

function Link() {
  const link = useStore(live, (state) => state.link);
  const [tone, text, title] = LINKS[link] ?? LINKS.polling;
  return html`<span class="state connection ${tone}" title=${title}><i aria-hidden="true"></i>${text}</span>`;
}

// Lies over the page instead of pushing it down.
function Banner() {
  const { link, problem, retryAt } = useStore(live, (state) => state);
  useTick(500);
  if (link === "stalled") return html`<div class="banner" role="status"><p><strong>No new blocks.</strong> Most likely too few validators are running. Nothing is lost: the chain goes on when they return.</p></div>`;
  if (link !== "lost") return null;
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  return html`<div class="banner" role="alert"><p><strong>${problem}</strong> <span class="num">${seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again…"}</span> What you see may be old.</p><${Button} onClick=${refresh}>Try now<//></div>`;
}

function Missing() {
  return html`<${Heading}>No such page<//><${Panel} label="No such page"><${Empty} title="This address leads nowhere">Go to the <a href=${href()}>overview</a> or search above.<//><//>`;
}

function App() {
  const [name = "", id] = useRoute();
  const [Page, title, menu] = Object.hasOwn(PAGES, name) && (id || !NEEDS_ID.includes(name)) ? PAGES[name] : [Missing, "No such page", null];
  const gateway = useStore(live, (state) => state.status?.gateway?.address);
  const version = useStore(live, (state) => state.status?.version);
  useNodesWatch();
  useDrop();
  useEffect(() => learnGateway(gateway), [gateway]);
  useEffect(() => {
    document.title = `${id && title !== "No such page" ? `${title} ${id.length > 20 ? `${id.slice(0, 10)}…` : id}` : title} · Stratos`;
    window.scrollTo(0, 0);
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [name, id]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.querySelector("main h1, main")?.focus();
    }}>Skip to the content</a>
    <header class="top"><div class="top-inner">
      <a class="brand" href=${href()}><img src="/assets/icon.svg" alt="" width="26" height="26" />Stratos</a>
      <nav aria-label="Pages">${MENU.map(([to, text]) => html`<a key=${to} href=${href(...(to ? [to] : []))} aria-current=${menu === to ? "page" : undefined}>${text}</a>`)}</nav>
      <${Search} /><${Link} />
    </div></header>
    <main id="main" tabindex="-1"><${Page} key=${`${name}/${id ?? ""}`} id=${id} /></main>
    <footer class="bottom"><p>Stratos ${version ?? ""}</p><p><a href="/openapi.json">Interface</a><a href="/v1/status">Status</a><a href="/metrics">Metrics</a></p></footer>
    <${Banner} /><${Notices} /><${Player} />`;
}

window.addEventListener("hashchange", () => {
  document.body.dataset.moved = "yes";
});
guardUnload();
start();
const place = document.getElementById("app");
place.replaceChildren();
render(html`<${App} />`, place);
