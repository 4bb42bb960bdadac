// Which node owns an address, so that lists say `resource-3` and not forty letters. Filled from /v1/nodes and /v1/status.

import { createStore, useStore } from "./store.js";

const names = createStore({});

export function learnNodes(nodes) {
  const all = [...(nodes.validators ?? []), ...(nodes.meta ?? []), ...(nodes.resource ?? [])];
  names.set(Object.fromEntries(all.filter((node) => node.address).map((node) => [node.address, node.name])));
}

export function learnGateway(address) {
  if (address) names.set({ [address]: "gateway" });
}

export function useName(address) {
  const known = useStore(names, (state) => state);
  return Object.hasOwn(known, address) ? known[address] : null;
}
