// Addresses within the page: `#/block/12` is ["block", "12"]. The hash keeps the server out of it, so the page works behind any path.

import { useEffect, useState } from "./vendor/hooks.js";

function parts() {
  return location.hash.replace(/^#\/?/, "").split("?")[0].split("/").filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}

export function useRoute() {
  const [route, setRoute] = useState(parts);
  useEffect(() => {
    const update = () => setRoute(parts());
    window.addEventListener("hashchange", update);
    return () => window.removeEventListener("hashchange", update);
  }, []);
  return route;
}

export function href(...path) {
  return `#/${path.map((part) => encodeURIComponent(part)).join("/")}`;
}

export function go(...path) {
  location.hash = href(...path);
}
