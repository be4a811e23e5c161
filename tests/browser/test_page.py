"""The status page in a real browser, on a real unitd."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Manager, absent, need
from tests.webserver import Web

pytestmark = pytest.mark.timeout(300)

PATIENCE = 60_000
SHOTS = os.environ.get("UNITD_SCREENSHOTS", "")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright."""
    need("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("needs the package playwright")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS, timeout=120_000)
        yield found
        found.close()


@pytest.fixture
def web(manager: Manager) -> Iterator[Web]:
    """A page beside a manager with some units, all of them started."""
    spoken = manager.base / "spoken"
    spoken.write_text("")
    manager.write("speaker.service", f"[Unit]\nDescription=Says <b>what</b> it is told\n[Service]\nExecStart=/usr/bin/tail -n +1 -F {spoken}\n")
    manager.write("victim.service", "[Service]\nExecStart=/bin/sleep 10000\n[Install]\nWantedBy=stack.target\n")
    manager.write("phoenix.service", "[Unit]\nRequires=victim.service\nAfter=victim.service\n[Service]\nExecStart=/bin/sleep 10000\nRestart=always\nRestartSec=30\n")
    manager.write("worker@.service", "[Unit]\nDescription=Worker %i\n[Service]\nExecStart=/bin/sleep 10000\n")
    manager.write("stack.target", "[Unit]\nWants=worker@1.service worker@2.service victim.service phoenix.service speaker.service\n")
    manager.boot("stack.target")
    manager.wait_for("phoenix.service", SubState="running")
    manager.wait_for("speaker.service", SubState="running")
    with Web(manager) as page:
        yield page


def visit(browser: Any, web: Web, path: str = "/", **options: Any) -> Any:
    """A page that is logged in by the address that unitctl prints, and live. Errors in its scripts fail the test at `leave`."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: page.errors.append(message.text) if "Content Security Policy" in message.text else None)
    page.goto(f"{web.address.rstrip('/')}{path}#token={web.token}")
    page.wait_for_selector("#connection.live")
    page.evaluate("window.stayed = true")
    return page


def leave(page: Any) -> None:
    """It was never loaded again, and had no error."""
    assert page.evaluate("window.stayed") is True
    assert page.errors == []
    page.context.close()


def text(page: Any, selector: str, wanted: str) -> None:
    """Wait until an element has this text."""
    page.wait_for_function("([s, w]) => document.querySelector(s)?.textContent.includes(w)", arg=[selector, wanted])


def test_overview_lives(browser: Any, web: Web) -> None:
    page = visit(browser, web)
    for unit in ("speaker.service", "victim.service", "worker@1.service", "stack.target"):
        text(page, f'tr[data-unit="{unit}"] .state', "active")
    assert page.locator("#token").count() == 0
    assert "token" not in page.url
    started = time.monotonic()
    os.kill(web.manager.pid("victim.service"), signal.SIGKILL)
    text(page, 'tr[data-unit="victim.service"] .state', "failed")
    print(f"the page knew of a killed service after {time.monotonic() - started:.2f} s")
    os.kill(web.manager.pid("worker@1.service"), signal.SIGTERM)
    text(page, 'tr[data-unit="worker@1.service"] .state', "inactive")

    page.fill("#filter", "worker")
    page.wait_for_function("() => document.querySelectorAll('tr[data-unit]').length === 2")
    page.fill("#filter", "")
    page.select_option("#group", "template")
    page.wait_for_function("() => [...document.querySelectorAll('tr.heading')].some(r => r.textContent.startsWith('worker@.service (2)'))")
    page.select_option("#group", "target")
    page.wait_for_function("() => [...document.querySelectorAll('tr.heading')].some(r => r.textContent.startsWith('stack.target'))")
    page.keyboard.press("Tab")
    leave(page)


def test_next_restart_is_shown(browser: Any, web: Web) -> None:
    page = visit(browser, web)
    os.kill(web.manager.pid("phoenix.service"), signal.SIGKILL)
    row = 'tr[data-unit="phoenix.service"]'
    text(page, f"{row} td:nth-child(7)", "in ")
    text(page, f"{row} .state", "activating")
    leave(page)


def test_output_is_live_and_harmless(browser: Any, web: Web) -> None:
    page = visit(browser, web, "/unit/speaker.service")
    spoken = web.manager.base / "spoken"

    def say(words: str) -> None:
        with spoken.open("a") as file:
            file.write(words + "\n")

    say("<script>window.hacked = 1</script><img src=x onerror='window.hacked=1'>")
    text(page, "#log", "<script>window.hacked = 1</script>")
    say("second line, with \x1b[31mcolour\x1b[0m and a needle")
    text(page, "#log", "and a needle")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#log img").count() == 0
    assert page.locator("p.about b").count() == 0

    page.click("#pause")
    say("while it was paused")
    text(page, "#log-note", "1 new lines")
    assert "while it was paused" not in page.text_content("#log")
    page.click("#pause")
    text(page, "#log", "while it was paused")
    page.fill("#search", "NEEDLE")
    page.wait_for_function("() => document.querySelectorAll('#log .line').length === 1 && document.querySelector('#log mark').textContent === 'needle'")
    page.fill("#search", "")
    page.select_option("#stream", "manager")
    page.wait_for_function("() => document.querySelectorAll('#log .line.out').length === 0")
    leave(page)


def test_restart_by_button(browser: Any, web: Web) -> None:
    page = visit(browser, web, "/unit/victim.service")
    before = web.manager.pid("victim.service")
    page.click('button[data-action="restart"]')
    page.wait_for_selector("#confirm[open]")
    text(page, "#plan", "victim.service")
    text(page, "#plan", "restart phoenix.service")  # it requires the other
    page.click("#no")
    assert web.manager.pid("victim.service") == before
    page.click('button[data-action="restart"]')
    page.wait_for_selector("#confirm[open]")
    page.click("#yes")
    text(page, "#outcome", "restart")
    page.wait_for_function("pid => !['–', pid].includes(document.querySelector('#pid').textContent)", arg=str(before))
    web.manager.wait_for("victim.service", SubState="running")
    assert str(web.manager.pid("victim.service")) == page.text_content("#pid")
    text(page, "#events", "job-changed")
    page.click('button[data-action="kill"]')
    page.wait_for_selector("#confirm[open]")
    page.select_option("#signal", "SIGKILL")
    text(page, "#plan-note", "SIGKILL")
    page.click("#yes")
    text(page, "#state", "failed")
    leave(page)


def test_survives_the_manager(browser: Any, web: Web) -> None:
    page = visit(browser, web)
    page.evaluate("""() => {
        window.states = [];
        const place = document.getElementById("connection");
        new MutationObserver(() => window.states.push(place.textContent)).observe(place, {childList: true, characterData: true, subtree: true});
    }""")
    os.kill(web.manager.manager_pid(), signal.SIGKILL)
    page.wait_for_function("() => window.states.some(s => s.startsWith('reconnecting')) && window.states.at(-1) === 'live'")
    web.manager.ok("stop", "worker@2.service")
    text(page, 'tr[data-unit="worker@2.service"] .state', "inactive")
    leave(page)


def test_readable_without_scripts(browser: Any, web: Web) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(web.address + "unit/speaker.service")
    page.fill("input[name=token]", "wrong")
    page.click("main button")
    assert "not the token" in page.text_content("main")
    page.fill("input[name=token]", web.token)
    page.click("main button")
    page.wait_for_url("**/unit/speaker.service")
    assert "active" in page.text_content("#state")
    assert "ExecStart=/usr/bin/tail" in page.text_content("pre.file")
    page.goto(web.address + "?q=worker&group=template")
    assert page.locator("tr[data-unit]").count() == 2
    page.click("text=Log out")
    page.goto(web.address)
    assert page.url.startswith(web.address + "login")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(browser: Any, web: Web, scheme: str) -> None:
    try:
        import axe_playwright_python
    except ImportError:
        absent("needs the package axe-playwright-python")
    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
    with (web.manager.base / "spoken").open("a") as file:
        file.write("listening on port 8080\n<script>alert('shown, not run')</script>\nGET / 200 12 ms\none line of output\n")
    page = visit(browser, web, color_scheme=scheme)
    for width, path, name in ((1200, "", "overview"), (1200, "unit/speaker.service", "unit"), (390, "?group=target", "phone"), (390, "unit/speaker.service", "phone-unit")):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(web.address + path)
        page.wait_for_selector("#connection.live")
        if "unit/" in path:
            text(page, "#log", "one line of output")
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in found["violations"] if v["impact"] in ("serious", "critical")]
        assert serious == [], (name, scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than its window"
        if SHOTS:
            page.wait_for_function("() => document.querySelectorAll('svg.spark polyline').length >= 2")
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=os.path.join(SHOTS, f"{name}-{scheme}.png"))
    assert page.errors == []
    page.context.close()


def test_a_flood_of_output_leaves_the_page_usable(browser: Any, web: Web) -> None:
    web.manager.write("flood.service", "[Service]\nExecStart=/bin/sh -c 'while :; do seq 1 1000; sleep 0.1; done'\n")
    web.manager.ok("daemon-reload")
    web.manager.ok("start", "flood.service")
    page = visit(browser, web, "/unit/flood.service")
    page.wait_for_function("() => document.querySelectorAll('#log .line').length >= 300")
    page.wait_for_function("() => document.querySelector('#log .skipped')")
    slowest = page.evaluate("""async () => {
        let slowest = 0;
        for (let i = 0; i < 30; i++) {
            const begin = performance.now();
            await new Promise(requestAnimationFrame);
            slowest = Math.max(slowest, performance.now() - begin);
        }
        return slowest;
    }""")
    print(f"slowest frame under 10 000 lines per second: {slowest:.0f} ms")
    assert page.evaluate("document.querySelector('#log').childElementCount") <= 1000
    page.click('button[data-action="stop"]')
    page.wait_for_selector("#confirm[open]")
    page.click("#yes")
    text(page, "#state", "inactive")
    leave(page)
