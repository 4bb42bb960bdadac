// The search box: a height, a hash, an address, a file id, an epoch (`epoch 5`) or the name of a file of this gateway.

import { get } from "./api.js";
import { go } from "./router.js";
import { html, Icon } from "./ui.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";

const found = (path) => get(path).catch((error) => {
  if (error.status === 0) throw error;
  return null;
});

// A 64-digit hash does not say what it names: ask for all three.
async function byHash(hash) {
  const [transaction, file, block] = await Promise.all([found(`/v1/txs/${hash}`), found(`/v1/files/${hash}`), found(`/v1/blocks/${hash}`)]);
  if (transaction && transaction.state !== "unknown") return ["tx", hash];
  if (file) return ["file", hash];
  return block ? ["block", hash] : null;
}

async function byName(text) {
  const files = (await found("/v1/gateway/files")) ?? [];
  const lower = text.toLowerCase();
  const file = files.find((each) => each.name?.toLowerCase() === lower) ?? files.find((each) => each.name?.toLowerCase().includes(lower));
  return file ? ["file", file.file_id] : null;
}

async function locate(text) {
  const digits = text.replace(/[,_\s]/g, "");
  if (/^\d{1,15}$/.test(digits)) return ["block", digits];
  const epoch = text.match(/^(?:epoch|e)\s*(\d{1,15})$/i);
  if (epoch) return ["epoch", epoch[1]];
  if (/^st1[0-9a-z]{20,}$/i.test(text)) return ["account", text.toLowerCase()];
  const hash = text.toLowerCase().replace(/^0x/, "");
  return /^[0-9a-f]{64}$/.test(hash) ? byHash(hash) : byName(text);
}

export function Search() {
  const [text, setText] = useState("");
  const [answer, setAnswer] = useState(null);
  const [busy, setBusy] = useState(false);
  const input = useRef(null);
  useEffect(() => {
    const slash = (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
      event.preventDefault();
      input.current.focus();
    };
    window.addEventListener("keydown", slash);
    return () => window.removeEventListener("keydown", slash);
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    const wanted = text.trim();
    if (!wanted || busy) return;
    setBusy(true);
    try {
      const place = await locate(wanted);
      if (place) {
        go(...place);
        setText("");
        input.current.blur();
      }
      setAnswer(place ? null : "Nothing here has this height, hash, address, file id or file name.");
    } catch (error) {
      setAnswer(error.message);
    }
    setBusy(false);
  };
  const change = (event) => {
    setText(event.target.value);
    setAnswer(null);
  };
  return html`<form class="search" role="search" onSubmit=${submit}>
    <${Icon} name="search" />
    <input ref=${input} type="search" value=${text} onInput=${change} onBlur=${() => setAnswer(null)} placeholder="Height, hash, address, file" aria-label="Search for a height, hash, address, file id or file name"
      autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="200" aria-busy=${busy ? "true" : undefined} aria-keyshortcuts="/" />
    <kbd aria-hidden="true">/</kbd>
    <p class=${`search-answer${answer ? " shown" : ""}`} role="status">${answer}</p>
  </form>`;
}
