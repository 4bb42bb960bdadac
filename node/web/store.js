// A value that components watch: set parts of it, and whoever uses it draws again.

import { useEffect, useState } from "./vendor/hooks.js";

export function createStore(initial) {
  let state = initial;
  const watchers = new Set();
  return {
    get: () => state,
    set(parts) {
      state = { ...state, ...parts };
      for (const watcher of [...watchers]) watcher(state);
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

/** The part of a store that `select` picks; the component draws again only when that part is another. */
export function useStore(store, select) {
  const [part, setPart] = useState(() => select(store.get()));
  useEffect(() => {
    const update = (state) => setPart(() => select(state));
    update(store.get());
    return store.watch(update);
  }, [store]);
  return part;
}
