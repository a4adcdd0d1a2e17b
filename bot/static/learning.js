/* The training's progress, fetched again every few seconds while one runs; the page is loaded anew at its end. */
"use strict";

const training = document.getElementById("training");
const runs = () => training.querySelector("[data-running]") !== null;

const look = async () => {
  const response = await fetch(training.dataset.source, { credentials: "same-origin" });
  if (!response.ok || response.redirected) return;
  training.innerHTML = await response.text();
  if (!runs()) location.reload();
};

if (training && runs()) setInterval(() => { if (!document.hidden) look().catch(() => {}); }, 3000);
