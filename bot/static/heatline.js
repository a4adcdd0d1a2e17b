/* Niceties; every page works without them. The list keeps itself fresh, a form is sent once. */
"use strict";

/* A form that was sent is not sent again by a second click. */
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-once]")) return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
  setTimeout(() => delete event.target.dataset.sent, 8000);
});

/* A canned text goes into its field, where it can still be changed. */
document.addEventListener("change", (event) => {
  const chooser = event.target;
  if (!chooser.matches("[data-fills]") || !chooser.value) return;
  const field = document.getElementById(chooser.dataset.fills);
  field.value = [field.value.trim(), chooser.value].filter(Boolean).join("\n");
  chooser.value = "";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
});

/* The ticket list: fetched again while the page is in view, and swapped in unless somebody is in the middle of it. */
const fresh = document.querySelector("[data-refresh]");
if (fresh) {
  const busy = () => {
    const live = document.getElementById("live");
    return live.contains(document.activeElement) || !getSelection().isCollapsed;
  };
  const ids = (root) => new Set([...root.querySelectorAll("#live tr[id]")].map((row) => row.id));

  const refresh = async () => {
    if (document.hidden) return;
    const response = await fetch(location.href, { credentials: "same-origin", headers: { "X-Refresh": "1" } });
    if (!response.ok || response.redirected) {
      fresh.textContent = "登录已过期，请刷新页面重新登录。";
      clearInterval(timer);
      return;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const before = ids(document);
    const added = [...ids(page)].filter((id) => !before.has(id));
    for (const id of ["menu", "groups"]) {
      const part = document.getElementById(id);
      if (!part.contains(document.activeElement)) part.replaceWith(page.getElementById(id));
    }
    if (busy()) {
      if (added.length) fresh.textContent = `列表有更新（${added.length} 张），离开列表后自动显示。`;
      return;
    }
    document.getElementById("live").replaceWith(page.getElementById("live"));
    for (const id of added) document.getElementById(id).classList.add("new");
    if (added.length) fresh.textContent = `新到 ${added.length} 张工单。`;
  };

  /* live.js says when something has changed; the timer is for what only time changes, and for where no news come. */
  const look = () => refresh().catch(() => { fresh.textContent = "连不上服务器，列表可能不是最新的。"; });
  document.addEventListener("heatline:list", look);
  const timer = setInterval(look, Number(fresh.dataset.refresh) * 1000);
}

/* Conversations open at the message in question, else at their end. */
for (const talk of document.querySelectorAll(".talk")) {
  const focus = talk.querySelector(".focus");
  talk.scrollTop = focus ? focus.offsetTop - talk.offsetTop - talk.clientHeight / 3 : talk.scrollHeight;
  if (talk.scrollHeight > talk.clientHeight) talk.tabIndex = 0;
}
