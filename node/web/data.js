// Answers of the gateway as components need them: the last answer at once, a fresh one as soon as it is there, and the error beside it.

import { get } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./vendor/hooks.js";

const CACHE_MAX = 200;
const cache = new Map();
const mounted = new Set();

/** Asks for everything on the page again; `forget` when what is known belongs to another network. */
export function renew(forget) {
  if (forget) cache.clear();
  for (const ask of [...mounted]) ask(forget);
}

function remember(path, data) {
  cache.delete(path);
  cache.set(path, data);
  if (cache.size > CACHE_MAX) cache.delete(cache.keys().next().value);
}

/**
 * `{ data, error, reload }` of a GET. Asks again whenever `key` changes; an answer that came is kept when a later call fails, and an answer to an older
 * question is dropped.
 */
export function useData(path, key) {
  const [result, setResult] = useState({ path, data: cache.get(path), error: null });
  const asked = useRef({ path: null, number: 0 });

  const load = useCallback(async () => {
    const number = asked.current.number + 1;
    asked.current = { path, number };
    const fresh = () => asked.current.number === number;
    try {
      const data = await get(path);
      remember(path, data);
      if (fresh()) setResult({ path, data, error: null });
    } catch (error) {
      if (fresh()) setResult((before) => ({ path, data: before.path === path ? before.data : cache.get(path), error }));
    }
  }, [path]);

  useEffect(() => {
    load();
  }, [load, key]);
  useEffect(() => {
    const ask = (forget) => {
      if (forget) setResult({ path, data: undefined, error: null });
      load();
    };
    mounted.add(ask);
    return () => mounted.delete(ask);
  }, [load]);
  useEffect(() => () => {
    asked.current = { path: null, number: asked.current.number + 1 };
  }, []);

  const current = result.path === path ? result : { data: cache.get(path), error: null };
  return { data: current.data, error: current.error, reload: load };
}
