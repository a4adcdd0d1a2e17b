/* The crew's service worker: keeps the shell (nobody's data) for when there is no network. Pages are never kept. */
"use strict";

const SHELL = "heatline-crew-1";
const OFFLINE = "/crew/offline";
const STATIC = ["/static/crew.css", "/static/crew.js", "/static/crew-queue.js", "/static/heatline.svg"];

self.addEventListener("install", (event) => {
  const fill = async () => {
    const shell = await caches.open(SHELL);
    await shell.addAll(STATIC);
    // Asked for without cookies, so that not even the name of whose phone it is can be in it.
    await shell.put(OFFLINE, await fetch(OFFLINE, { credentials: "omit", cache: "no-store" }));
    await self.skipWaiting();
  };
  event.waitUntil(fill());
});

self.addEventListener("activate", (event) => {
  const tidy = async () => {
    for (const name of await caches.keys()) if (name.startsWith("heatline-crew-") && name !== SHELL) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(tidy());
});

/* What is static comes from the phone at once and is renewed behind; a page comes from the network or not at all. */
async function still(event) {
  const shell = await caches.open(SHELL);
  const renewed = fetch(event.request).then(async (answer) => {
    if (answer.ok) await shell.put(event.request, answer.clone());
    return answer;
  });
  const had = await shell.match(event.request);
  if (!had) return renewed;
  event.waitUntil(renewed.catch(() => {}));
  return had;
}

self.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  if (event.request.method !== "GET" || address.origin !== location.origin) return;
  if (STATIC.includes(address.pathname)) event.respondWith(still(event));
  else if (event.request.mode === "navigate") {
    event.respondWith(fetch(event.request).catch(async () => (await caches.open(SHELL)).match(OFFLINE)));
  }
});
