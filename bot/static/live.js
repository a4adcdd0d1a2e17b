/* News of the desk by server-sent events: the count in the title, who else is on a ticket, and the page brought up to date
   without touching what somebody is typing. Without it pages are as they were when they were opened. */
"use strict";
(() => {
  const here = document.getElementById("live-source");
  if (!here || !window.EventSource) return;
  let known = null;

  const title = (waiting) => {
    const [, alarm, rest] = document.title.match(/^(⚠ )?(?:\(\d+\+?\) )?(.*)$/s);
    const count = waiting > 999 ? "999+" : waiting;
    document.title = (alarm || "") + (waiting ? `(${count}) ` : "") + rest;
  };

  const say = (id, text) => {
    const line = document.getElementById(id);
    if (!line) return;
    if (line.textContent !== text) line.textContent = text;
    line.hidden = !text;
  };

  const changed = (field) => {
    if (field.type === "hidden") return false;
    if (field.tagName === "SELECT") {
      return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
    }
    if (field.type === "radio" || field.type === "checkbox") return field.checked !== field.defaultChecked;
    return field.value !== field.defaultValue;
  };

  /* Whether somebody is in the middle of something there. */
  const busy = (part) => part.contains(document.activeElement) || part.querySelector("details[open]")
    || [...part.querySelectorAll("input, textarea, select")].some(changed);

  const renew = async () => {
    const answer = await fetch(here.dataset.page, { credentials: "same-origin", headers: { "X-Refresh": "1" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    let kept = false;
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = page.getElementById(part.id);
      if (!now) continue;
      const held = part.dataset.live === "kept" || (part.dataset.live === "form" && busy(part));
      if (held) kept = true;
      else if (part.dataset.live === "form" || !part.contains(document.activeElement)) part.replaceWith(now);
    }
    const talk = document.querySelector("#live-talk .talk");
    if (talk) talk.scrollTop = talk.scrollHeight;
    /* The new words are on the page now, so an answer that is being written answers them too. */
    const heard = document.querySelector("#panel input[name=heard]");
    const latest = page.querySelector("#panel input[name=heard]");
    if (heard && latest) heard.value = latest.value;
    say("moved", kept ? "刚有变化，页面已是最新；您正在填的没有动。" : "");
  };

  const hear = (event) => {
    const news = JSON.parse(event.data);
    title(news.waiting);
    say("others", news.others || "");
    if (known && known.list !== news.list) document.dispatchEvent(new Event("heatline:list"));
    if (known && known.ticket !== news.ticket) renew().catch(() => { /* the next news bring it */ });
    known = news;
  };

  /* The browser gives a stream up where it is answered by something else: the log-in, after too long a rest. */
  const ended = async () => {
    const answer = await fetch(here.dataset.source, { credentials: "same-origin", redirect: "manual" });
    if (answer.type === "opaqueredirect") location.reload();
    else setTimeout(listen, 20000);
  };
  const listen = () => {
    const stream = new EventSource(here.dataset.source);
    stream.onmessage = hear;
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) ended().catch(() => setTimeout(listen, 20000));
    };
  };
  listen();

  /* Colleagues see that somebody is writing. */
  let told = 0;
  document.addEventListener("input", (event) => {
    if (!here.dataset.writing || !event.target.closest("[data-live]") || Date.now() - told < 5000) return;
    told = Date.now();
    const body = new URLSearchParams({ csrf_token: here.dataset.token });
    fetch(here.dataset.writing, { method: "POST", credentials: "same-origin", body }).catch(() => { told = 0; });
  });
})();
