// The try page's two phones: each says what its resident types, and shows what is on the resident's screen.
"use strict";

const POLL = 1000; // milliseconds between looks at the phone

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || `出错了（${response.status}）`);
  return answer;
}

function remembered(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { /* a private window forgets, and that is all */ }
}

class Phone {
  constructor(section) {
    this.medium = section.dataset.medium;
    this.log = section.querySelector(".phone-lines");
    this.list = this.log.querySelector("ol");
    this.who = section.querySelector("[data-who]");
    this.state = section.querySelector(".phone-state");
    this.input = section.querySelector("textarea");
    this.send = section.querySelector(".send");
    this.key = `heatline-try-${this.medium}`;
    this.last = 0;
    section.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); this.say(); });
    section.querySelector("[data-new]").addEventListener("click", () => this.renew());
    for (const button of section.querySelectorAll("[data-example]")) {
      button.addEventListener("click", () => { this.input.value = button.textContent; this.input.focus(); });
    }
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.say(); }
    });
  }

  async start() {
    const known = remembered(this.key);
    if (known) this.become(known); else await this.renew();
    this.watch();
  }

  async renew() {
    try {
      this.become((await ask("/try/identity", { medium: this.medium })).address);
      this.state.textContent = "";
      await this.look();
    } catch (error) { this.state.textContent = error.message; }
  }

  become(address) {
    this.address = address;
    this.last = 0;
    this.list.replaceChildren();
    remember(this.key, address);
    this.who.textContent = this.medium === "sms" ? address.replace("+86", "") : `住户 ${address.slice(-6)}`;
  }

  async say() {
    const text = this.input.value;
    if (!text.trim() || !this.address || this.send.disabled) return;
    this.send.disabled = true;
    this.state.textContent = "正在发送……";
    this.input.value = "";
    try {
      await ask("/try/say", { medium: this.medium, address: this.address, text });
      this.state.textContent = "";
    } catch (error) {
      this.state.textContent = error.message || "没有发出去，请再试一次";
      this.input.value = this.input.value || text;
    }
    this.send.disabled = false;
    await this.look();
    this.input.focus();
  }

  async look() {
    if (this.looking || !this.address) return;
    this.looking = true;
    const { address, medium } = this;
    try {
      const query = new URLSearchParams({ medium, address, after: this.last });
      const { lines } = await ask(`/try/lines?${query}`);
      if (address === this.address) for (const line of lines) this.show(line);
    } catch { /* the next look will tell */ }
    this.looking = false;
  }

  show(line) {
    if (line.number <= this.last) return;
    this.last = line.number;
    const item = document.getElementById("line").content.firstElementChild.cloneNode(true);
    item.classList.toggle("mine", line.mine);
    item.classList.toggle("notice", line.how === "平台提示");
    item.querySelector(".text").textContent = line.text;
    item.querySelector(".meta").textContent = [line.at, line.how].filter(Boolean).join(" · ");
    this.list.append(item);
    this.log.scrollTop = this.log.scrollHeight;
  }

  async watch() {
    if (document.visibilityState === "visible") await this.look();
    setTimeout(() => this.watch(), POLL);
  }
}

for (const section of document.querySelectorAll("[data-medium]")) new Phone(section).start();

// The desk is only loaded where there is room for it.
const wide = matchMedia("(min-width: 1280px)");
function openDesk() {
  const frame = document.querySelector(".try-desk iframe");
  if (wide.matches && !frame.src) frame.src = frame.dataset.src;
}
wide.addEventListener("change", openDesk);
openDesk();
