// Rings while a danger is open that nobody has acknowledged; asks the desk every twenty seconds.
"use strict";
(() => {
  const badge = document.getElementById("alerts-badge");
  if (!badge) return;
  const ring = () => {
    try {
      const context = new AudioContext();
      const tone = context.createOscillator();
      tone.frequency.value = 880;
      tone.connect(context.destination);
      tone.start();
      tone.stop(context.currentTime + 0.6);
    } catch (error) { /* the browser allows no sound before the first click */ }
  };
  const show = (open) => {
    badge.hidden = !open;
    badge.textContent = open || "";
    document.title = document.title.replace(/^⚠ /, "");
    if (open) { document.title = "⚠ " + document.title; ring(); }
  };
  const look = async () => {
    try {
      const answer = await fetch(badge.dataset.source, { credentials: "same-origin", redirect: "error" });
      if (answer.ok) show((await answer.json()).open);
    } catch (error) { /* the next look may work */ }
  };
  if (!badge.hidden) ring();
  setInterval(look, 20000);
})();
