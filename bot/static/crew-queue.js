/* What could not be sent: kept in the phone's own database until the network is back, then sent and forgotten. */
"use strict";

const kept = (() => {
  const open = () => new Promise((resolve, reject) => {
    const asked = indexedDB.open("heatline-crew", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("forms", { keyPath: "key" });
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  /* One transaction; resolves when it is on the disk, so that 已保存 is true when it is said. */
  const transact = async (mode, act) => {
    const base = await open();
    try {
      return await new Promise((resolve, reject) => {
        const transaction = base.transaction("forms", mode);
        const asked = act(transaction.objectStore("forms"));
        transaction.oncomplete = () => resolve(asked.result);
        transaction.onabort = transaction.onerror = () => reject(transaction.error);
      });
    } finally {
      base.close();
    }
  };
  return {
    all: async () => (await transact("readonly", (forms) => forms.getAll())).sort((a, b) => a.at - b.at),
    put: (form) => transact("readwrite", (forms) => forms.put(form)),
    drop: (key) => transact("readwrite", (forms) => forms.delete(key)),
    empty: () => transact("readwrite", (forms) => forms.clear()),
  };
})();

/* Older phones cannot give up by themselves; their browser does, later. */
const within = (ms) => AbortSignal.timeout?.(ms);

/* Send one form. Resolves to the service's answer, with `status`; rejects where there is no network, or an error of it. */
async function deliver(form, tokenAddress, device) {
  const headers = { Accept: "application/json" };
  const fresh = await fetch(tokenAddress, { headers, cache: "no-store", signal: within(20000) });
  const { csrf_token: token, device: asked } = await fresh.json();
  if (fresh.status === 401) return { status: 401 };
  if (!fresh.ok) throw new Error(`token ${fresh.status}`);
  if (asked !== device) return { status: 401 };
  const body = new FormData();
  for (const [name, value] of form.fields) body.append(name, value);
  body.set("csrf_token", token);
  body.set("age", String(Math.max(0, Math.round((Date.now() - form.at) / 1000))));
  const answer = await fetch(form.action, { method: "POST", headers, body, signal: within(90000) });
  if (answer.status >= 500 || answer.status === 429) throw new Error(`answer ${answer.status}`);
  return { ...(await answer.json()), status: answer.status };
}
