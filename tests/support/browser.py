"""Chromium without a window, driven by chromedriver; both are Debian's."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars",
)  # fmt: skip


@contextlib.contextmanager
def chromium() -> Iterator[Chrome]:
    """Run a browser with a profile of its own for as long as the block takes."""
    profile = tempfile.mkdtemp(prefix="reef-chromium-")
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = Chrome(options, Service("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


def look(driver: Chrome, width: int, *, scheme: str = "light", scripts: bool = True, height: int = 800) -> None:
    """Give the page a width in CSS pixels and the user's wishes."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    wish = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wish})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})


def asked(driver: Chrome, expression: str) -> Any:
    """Evaluate an expression in the page, also where the page itself may run no scripts."""
    said = driver.execute_cdp_cmd("Runtime.evaluate", {"expression": expression, "returnByValue": True})
    assert "exceptionDetails" not in said, said
    return said["result"].get("value")


def complaints(driver: Chrome) -> list[dict[str, Any]]:
    """Return what the browser's console says since the last call."""
    said: list[dict[str, Any]] = driver.get_log("browser")  # type: ignore[no-untyped-call]
    return said


CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
                         return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = color => rgb(color).slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor; if (rgb(color)[3] == 255) return color; } };
  const texts = [...document.querySelectorAll("body *")].filter(
      e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) && e.checkVisibility());
  return texts.map(e => { const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
                          return [(a + 0.05) / (b + 0.05), e.tagName + ": " + e.textContent.trim().slice(0, 40)]; });
})()
"""
"""The contrast of every visible text (WCAG 2.2, relative luminance)."""
