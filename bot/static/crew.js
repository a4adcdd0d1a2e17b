/* Bad networks: a form that cannot be sent is kept (已保存，等网络) and sent again by itself. Pages work without this. */
"use strict";

const body = document.body.dataset;
const device = Number(body.device) || null;
const notices = document.getElementById("notices");
const AGAIN = 30000; // ms between tries while something is kept
const LONGEST_SIDE = 1280; // px of a photo that is sent

const say = (text) => {
  const line = document.createElement("p");
  line.className = "notice";
  line.textContent = text;
  notices.replaceChildren(line);
};

/* A photo as small as it may be and still be read; what the phone cannot draw is sent as it is. */
async function shrink(file) {
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const small = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.72));
    return small && small.size < file.size ? new File([small], "photo.jpg", { type: "image/jpeg" }) : file;
  } catch {
    return file;
  }
}

async function collect(form) {
  const fields = [];
  for (const [name, value] of new FormData(form)) {
    if (name === "csrf_token") continue;
    if (!(value instanceof File)) fields.push([name, value]);
    else if (value.size) fields.push([name, await shrink(value)]);
  }
  const key = fields.find(([name]) => name === "key")[1];
  return { key, device, action: new URL(form.action).pathname, what: form.dataset.keep, at: Date.now(), fields };
}

/* The list of what is kept, and of what the service would not do. */
async function show() {
  const forms = await kept.all();
  const place = document.getElementById("kept");
  place.hidden = !forms.length;
  place.replaceChildren(...forms.map((form) => {
    const line = document.createElement("p");
    line.className = form.problem ? "problem" : "kept";
    line.textContent = form.problem ? `没有办成：${form.what}。${form.problem}` : `已保存，等网络：${form.what}`;
    if (form.problem) {
      const known = document.createElement("button");
      known.textContent = "知道了";
      known.addEventListener("click", () => kept.drop(form.key).then(show));
      line.append(known);
    }
    return line;
  }));
}

let sending = null;
const flush = () => (sending ??= send().finally(() => { sending = null; }));

/* Everything that is kept, in its order. Returns the last answer, or null where the network is still away. */
async function send() {
  let last = null;
  for (const form of await kept.all()) {
    if (form.problem) continue;
    let answer;
    try {
      answer = await deliver(form, body.token, form.device);
    } catch {
      await show();
      return null;
    }
    if (answer.status === 401) { // nobody's phone, or somebody else's: nothing of it stays here
      await kept.empty();
      location.assign("/crew/strange");
      return null;
    }
    if (answer.problem) await kept.put({ ...form, problem: answer.problem });
    else await kept.drop(form.key);
    last = { ...answer, key: form.key };
  }
  await show();
  return last;
}

/* The form may be sent again, as a new one: a key is for one content. */
function renew(form) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  form.elements.key.value = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  delete form.dataset.sent;
  form.querySelector("button").disabled = false;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-keep]") || !device) return;
  event.preventDefault();
  if (form.dataset.sent) return;
  form.dataset.sent = "1";
  form.querySelector("button").disabled = true;
  say("正在送出……");
  const one = await collect(form);
  try {
    await kept.put(one);
  } catch { // no room, or a private window: as without scripts
    form.submit();
    return;
  }
  await sending;
  const answer = await flush();
  if (answer?.key === one.key && answer.done) {
    sessionStorage.setItem("said", answer.done);
    location.assign(answer.next);
  } else if (answer?.key === one.key) {
    await kept.drop(one.key);
    await show();
    say(answer.problem);
    renew(form);
  } else {
    if (form.enctype === "multipart/form-data") { // the next room, the next photo; a move is made once
      form.reset();
      renew(form);
    }
    say("已保存，等网络。可以接着办别的。");
  }
});

/* Leaving empties the phone; what was not sent is said first. */
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-leave]")) return;
  event.preventDefault();
  const left = await kept.all().catch(() => []);
  if (left.length && !confirm(`还有 ${left.length} 项没送到，退出就丢了。确定退出吗？`)) return;
  await kept.empty().catch(() => {});
  form.submit();
});

/* A part of the page that a link leads to opens. */
const openTarget = () => {
  const part = location.hash && document.getElementById(location.hash.slice(1));
  if (part instanceof HTMLDetailsElement) part.open = true;
};
addEventListener("hashchange", openTarget);
openTarget();

const begin = async () => {
  const said = sessionStorage.getItem("said");
  sessionStorage.removeItem("said");
  if (said) say(said);
  if (body.page === "strange") return kept.empty();
  if (device) for (const form of await kept.all()) if (form.device !== device) await kept.drop(form.key);
  await show();
  if ((await kept.all()).some((form) => !form.problem)) await flush();
};
begin().catch(() => {});
addEventListener("online", () => flush().catch(() => {}));
setInterval(() => {
  kept.all().then((forms) => forms.some((form) => !form.problem) && flush()).catch(() => {});
}, AGAIN);
if ("serviceWorker" in navigator && device) navigator.serviceWorker.register(body.worker).catch(() => {});
