/* Judging by keys. A key decides, A and a key ticks "also", Shift and a key does the same; without scripts all of it are
   buttons. The switch turns keys off (WCAG 2.1.4) and is remembered. */
"use strict";

const judge = document.getElementById("judge");
const keysOn = document.getElementById("keys-on");
const said = document.getElementById("said");
let also = false;
let pressed = false;

const tell = (text) => { document.getElementById("keys-say").textContent = text; };

const tick = (value) => {
  const box = judge && judge.querySelector(`[name=also][value="${CSS.escape(value)}"]`);
  if (!box) { tell("这个意图不能作为“还说了”。"); return; }
  box.closest("details").open = true;
  box.checked = !box.checked;
  tell(`${box.checked ? "还说了" : "去掉"}：${box.parentElement.textContent.trim()}`);
};

const special = {
  KeyA: () => { also = !also; tell(also ? "下一个按键勾选“还说了”。" : ""); },
  KeyB: () => {
    const boxes = [...document.querySelectorAll("[name=twin]")];
    const all = boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = !all;
    if (boxes.length) tell(all ? "相似的都不选。" : `相似的 ${boxes.length} 条一起判。`);
  },
  KeyN: () => { const note = document.getElementById("note"); note.closest("details").open = true; note.focus(); },
};

const press = (event) => {
  const act = special[event.code];
  if (act && judge) { event.preventDefault(); act(); return; }
  const names = { ArrowRight: "X", ArrowLeft: "Z", Enter: "Enter" };
  const key = names[event.code] || event.code.replace(/^(Key|Digit|Numpad)/, "");
  const target = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!target) return;
  if (key === "Enter" && event.target.matches("a, button, summary")) return;
  event.preventDefault();
  if (event.shiftKey || also) { also = false; if (target.value) tick(target.value); return; }
  pressed = true;
  target.click();
};

if (keysOn) {
  keysOn.checked = localStorage.getItem("heatline-keys") !== "off";
  document.querySelector(".keys-switch").hidden = false;
  keysOn.addEventListener("change", () => localStorage.setItem("heatline-keys", keysOn.checked ? "on" : "off"));
  for (const hint of document.querySelectorAll(".keys-hint")) hint.hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.code === "Escape" && event.target.matches("textarea")) { event.target.blur(); return; }
    const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
    const busy = typing || pressed || event.ctrlKey || event.metaKey || event.altKey || event.repeat;
    if (keysOn.checked && !busy) press(event);
  });
}

/* Entities: select words of the message, then say what they are. The list below is what the form sends. */
const marks = document.getElementById("marks");
if (marks && said) {
  const field = judge.querySelector("[name=entities]");
  const list = document.getElementById("marked");
  let entities = JSON.parse(marks.dataset.entities);

  const show = () => {
    list.replaceChildren(...entities.map((entity, place) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "plain";
      button.textContent = "去掉";
      button.setAttribute("aria-label", `去掉 ${said.value.slice(entity.start, entity.end)}`);
      button.addEventListener("click", () => { entities.splice(place, 1); changed(); });
      item.append(`${marks.dataset[entity.entity.replace("_", "")]}：${said.value.slice(entity.start, entity.end)} `, button);
      return item;
    }));
  };
  const changed = () => { field.value = JSON.stringify(entities); show(); };

  marks.hidden = false;
  marks.addEventListener("click", (event) => {
    const kind = event.target.dataset.kind;
    if (!kind) return;
    const [start, end] = [said.selectionStart, said.selectionEnd];
    if (start === end) { tell("请先在原话里选中几个字。"); return; }
    entities = entities.filter((entity) => entity.end <= start || entity.start >= end);
    entities.push({ entity: kind, start, end });
    entities.sort((a, b) => a.start - b.start);
    changed();
  });
  show();
}
