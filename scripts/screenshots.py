"""Takes the pictures of README.md and of the staff manual from a running demonstration: `python scripts/screenshots.py http://127.0.0.1:8000`.

The log-in is read from var/demo-login.txt, or given as a second argument.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import FrameLocator, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
LOGIN = ROOT / "var" / "demo-login.txt"
PAGES = {
    "desk": "/desk/",
    "phone": "/desk/phone?phone=14000100039",
    "talks": "/desk/talks",
    "review": "/desk/reviews",
    "roster": "/desk/roster",
}
STORY = {
    "wechat": ["暖气片冰凉，一点都不热", "沁河苑5号楼1单元", "302", "13800001234"],
    "sms": ["阀门那儿一直在滴水，阳光花园1号楼1单元402", "一滴一滴的"],
}


def main() -> None:
    """Play two residents and a member of staff, and keep what they see."""
    base = sys.argv[1].rstrip("/")
    password = sys.argv[2] if len(sys.argv) > 2 else LOGIN.read_text(encoding="utf-8").splitlines()[1]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 900}, locale="zh-CN", color_scheme="light")
        page.goto(f"{base}/try")
        for medium, words in STORY.items():
            for text in words:
                _say(page, medium, text)
        _log_in(page.frame_locator("iframe"), password)
        page.wait_for_timeout(1500)
        page.screenshot(path=IMAGES / "try.png")
        for name, address in PAGES.items():
            page.goto(f"{base}{address}")
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


def _say(page: Page, medium: str, text: str) -> None:
    """Write as a resident and wait for the answer."""
    lines = page.locator(f"#{medium} .phone-lines li")
    before = lines.count()
    page.fill(f"#{medium}-text", text)
    page.click(f"#{medium} button.send")
    lines.nth(before + 1).wait_for(timeout=20_000)
    page.wait_for_timeout(5500)  # somebody reads the answer; three messages in a row would be taken for one


def _log_in(desk: FrameLocator, password: str) -> None:
    """Log in at the desk beside the phones."""
    desk.locator("input[name=name]").fill("演示")
    desk.locator("input[type=password]").fill(password)
    desk.locator("form button[type=submit], form button:not([type])").first.click()


if __name__ == "__main__":
    main()
