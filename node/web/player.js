// Shows a video, a sound or a picture in the page. The element asks for byte ranges itself, so seeking fetches only what is watched.

import { fileProblem, filePath } from "./api.js";
import { bytes, playable } from "./format.js";
import { href } from "./router.js";
import { createStore, useStore } from "./store.js";
import { Button, copyFileLink, html } from "./ui.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";

const shown = createStore({ file: null });

export function play(file) {
  shown.set({ file });
}

/** The medium itself; says why when it does not play. */
export function Medium({ file, autoplay }) {
  const [problem, setProblem] = useState(null);
  const element = useRef(null);
  const path = filePath(file.url);
  const kind = playable(file.type);
  // A removed element would go on fetching: take its source away with it.
  useEffect(() => {
    const media = element.current;
    return () => {
      if (media && "pause" in media) {
        media.pause();
        media.removeAttribute("src");
        media.load();
      }
    };
  }, [path]);
  const failed = () => fileProblem(path).then(setProblem);
  if (!path) return html`<p class="medium-problem" role="alert">This gateway gave no link to the file.</p>`;
  if (problem) return html`<p class="medium-problem" role="alert">${problem}</p>`;
  if (kind === "video") return html`<video ref=${element} class="medium" src=${path} controls autoplay=${autoplay} playsinline preload="metadata" onError=${failed}></video>`;
  if (kind === "audio") return html`<audio ref=${element} class="medium" src=${path} controls autoplay=${autoplay} preload="metadata" onError=${failed}></audio>`;
  return html`<img class="medium" src=${path} alt=${file.name || "picture"} onError=${failed} />`;
}

export function Player() {
  const file = useStore(shown, (state) => state.file);
  const dialog = useRef(null);
  useEffect(() => {
    if (file) dialog.current.showModal();
  }, [file]);
  if (!file) return null;
  const close = () => dialog.current.close();
  return html`<dialog ref=${dialog} class="player" aria-label=${file.name || "file"} onClose=${() => shown.set({ file: null })} onClick=${(event) => event.target === dialog.current && close()}>
    <div class="player-body">
      <header class="player-head"><h2 title=${file.name}>${file.name || "Unnamed file"}</h2><${Button} quiet icon="close" label="Close" onClick=${close} /></header>
      <div class="stage ${playable(file.type) ?? ""}"><${Medium} key=${file.file_id} file=${file} autoplay /></div>
      <footer class="player-foot"><span class="muted">${bytes(file.bytes)} · ${file.type || "unknown type"}</span><span class="grow"></span>
        <a class="button quiet" href=${href("file", file.file_id)} onClick=${close}>Details</a>
        <${Button} quiet icon="link" onClick=${() => copyFileLink(file)}>Copy link<//>
        <a class="button quiet" href=${filePath(file.url)} download=${file.name || "file"}>Download</a>
      </footer>
    </div>
  </dialog>`;
}
