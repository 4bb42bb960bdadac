// Where files are dropped or chosen, and the list of what is under way.

import { bytes, count } from "./format.js";
import { go, useRoute } from "./router.js";
import { useStore } from "./store.js";
import { Button, copyFileLink, html, Icon, notify, Ozone } from "./ui.js";
import { add, dismiss, isBusy, retry, uploads } from "./upload.js";
import { useEffect, useRef } from "./vendor/hooks.js";

function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length;
  if (folders) notify("Folders cannot be uploaded: drop the files in them.", "bad");
  return items.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory).map((item) => item.getAsFile()).filter(Boolean);
}

/** A drop on any page counts: one that is missed would make the browser leave for the file. Pages that show no uploads give way to one that does. */
export function useDrop() {
  const [name = ""] = useRoute();
  const shows = name === "" || name === "files";
  useEffect(() => {
    let depth = 0;
    const setOver = (over) => over !== uploads.get().over && uploads.set({ over });
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    const handlers = {
      dragenter: (event) => {
        if (!hasFiles(event)) return;
        depth += 1;
        setOver(true);
      },
      dragleave: (event) => {
        if (!hasFiles(event)) return;
        depth = Math.max(0, depth - 1);
        if (depth === 0) setOver(false);
      },
      dragover: (event) => hasFiles(event) && event.preventDefault(),
      drop: (event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        depth = 0;
        setOver(false);
        const files = dropped(event.dataTransfer);
        if (!files.length) return;
        add(files);
        if (!shows) go("files");
      },
    };
    for (const [name, handler] of Object.entries(handlers)) window.addEventListener(name, handler);
    return () => {
      for (const [name, handler] of Object.entries(handlers)) window.removeEventListener(name, handler);
      setOver(false);
    };
  }, [shows]);
}

function words(item) {
  const share = item.size ? Math.floor((item.sent / item.size) * 100) : 100;
  if (item.state === "waiting") return "waiting";
  if (item.state === "sending") return `${share} % of ${bytes(item.size)}${item.speed ? ` · ${bytes(item.speed)}/s` : ""}`;
  if (item.state === "storing") return "storing the slices on the nodes";
  return item.state === "failed" ? item.error : null;
}

function Upload({ item }) {
  const share = item.state === "done" || !item.size ? 100 : (item.sent / item.size) * 100;
  const charged = item.answer?.charged_noz;
  const missing = item.answer?.missing_slices;
  return html`<li class=${`upload ${item.state}`}>
    <div class="upload-line">
      <span class="upload-name" title=${item.name}>${item.name}</span>
      <span class="upload-words">${words(item) ?? html`stored, ${bytes(item.answer.bytes ?? item.size)}${charged !== undefined && html` for <${Ozone} noz=${charged} />`}${missing > 0 && html`, but ${count(missing)} of its slices found no node`}`}</span>
      ${item.state === "done" && html`<${Button} quiet icon="link" label=${`Copy the link to ${item.name}`} onClick=${() => copyFileLink({ ...item.answer, name: item.name })} />
        <${Button} quiet icon="file" label=${`Details of ${item.name}`} onClick=${() => go("file", item.answer.file_id)} />`}
      ${item.state === "failed" && html`<${Button} onClick=${() => retry(item.id)}>Try again<//>`}
      <${Button} quiet icon="close" label=${isBusy(item) ? `Stop the upload of ${item.name}` : `Take ${item.name} off this list`} onClick=${() => dismiss(item.id)} />
    </div>
    <div class="progress" role="progressbar" aria-label=${`Upload of ${item.name}`} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.floor(share)}><i style=${{ width: `${share}%` }}></i></div>
  </li>`;
}

export function DropZone() {
  const list = useStore(uploads, (state) => state.list);
  const input = useRef(null);
  const over = useStore(uploads, (state) => state.over);
  const choose = (event) => {
    if (event.target.files.length) add([...event.target.files]);
    event.target.value = "";
  };
  const finished = list.filter((item) => item.state === "done").length;
  return html`<div class="dropping">
    <label class=${`drop${over ? " over" : ""}`}>
      <input ref=${input} class="offscreen" type="file" multiple onChange=${choose} />
      <${Icon} name="upload" />
      <span><strong>${over ? "Let go to upload" : "Drop files here"}</strong>${!over && html`<span class="muted"> or <u>choose them</u></span>`}
      <span class="drop-note">The gateway encrypts each file, cuts it into coded slices and stores them on the nodes.</span></span>
    </label>
    ${list.length > 0 && html`<ul class="uploads" aria-label="Uploads">${list.map((item) => html`<${Upload} key=${item.id} item=${item} />`)}</ul>`}
    <p class="offscreen" role="status">${list.length > 0 ? `${count(finished)} of ${count(list.length)} uploads finished` : ""}</p>
  </div>`;
}
