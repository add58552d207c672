/** What the page shows, as the URL has it. */
import { useCallback, useEffect, useState } from "react";

export type Route = { page: "thread"; threadId: string | null } | { page: "documents" };

/** The route of an address; `/?thread=` is how this page wrote its first links. */
export function parseRoute({ pathname, search }: { pathname: string; search: string }): Route {
  if (pathname === "/documents") return { page: "documents" };
  const thread = /^\/t\/([^/]+)$/.exec(pathname)?.[1];
  if (thread !== undefined) return { page: "thread", threadId: decodeURIComponent(thread) };
  return { page: "thread", threadId: new URLSearchParams(search).get("thread") };
}

export function pathOf(route: Route): string {
  if (route.page === "documents") return "/documents";
  return route.threadId === null ? "/" : `/t/${encodeURIComponent(route.threadId)}`;
}

/** The route, and a way to another one: a new entry in the browser's history, unless it `replaces` the present one. */
export function useRoute(): [Route, (route: Route, replaces?: boolean) => void] {
  const [route, setRoute] = useState(() => parseRoute(window.location));

  useEffect(() => {
    const follow = () => {
      const next = parseRoute(window.location);
      setRoute((shown) => (pathOf(shown) === pathOf(next) ? shown : next));
    };
    window.addEventListener("popstate", follow);
    follow(); // the browser may have gone back or forward between the first render and this effect
    return () => window.removeEventListener("popstate", follow);
  }, []);

  const go = useCallback((next: Route, replaces = false) => {
    const path = pathOf(next);
    if (path !== window.location.pathname || window.location.search !== "") {
      if (replaces) history.replaceState(null, "", path);
      else history.pushState(null, "", path);
    }
    setRoute(next);
  }, []);

  return [route, go];
}
