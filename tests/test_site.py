"""The site of the documentation: built strictly, and opened once in a browser, as a reader does."""

import functools
import http.server
import pathlib
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from html.parser import HTMLParser

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the site, built anew and served."""
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    handler = functools.partial(QuietHandler, directory=str(directory))
    with QuietServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, *arguments):
        pass  # a browser that has seen enough closes the connection


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Links(HTMLParser):
    """What a page links to, shows or loads, and the anchors that it has."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.add(attributes.get("id"))
        # The theme's <link rel="canonical"> and such are no links of a reader.
        self.links.add(attributes.get({"a": "href", "img": "src", "script": "src"}.get(tag)))


def test_no_link_within_the_site_is_broken(site):
    pages, waiting = {}, {site}
    broken = []
    while waiting:
        address = waiting.pop()
        try:
            with urllib.request.urlopen(address) as answer:
                text = answer.read().decode() if "html" in answer.headers["Content-Type"] else ""
        except OSError as error:
            broken.append((address, str(error)))
            text = ""
        pages[address] = Links(text)
        for link in pages[address].links - {None}:
            target = urllib.parse.urldefrag(urllib.parse.urljoin(address, link)).url
            if target.startswith(site) and target not in pages:
                waiting.add(target)
    assert len([page for page in pages.values() if page.anchors]) >= 15
    for address, page in pages.items():
        for link in page.links - {None}:
            target, anchor = urllib.parse.urldefrag(urllib.parse.urljoin(address, link))
            if target.startswith(site) and anchor and pages[target].anchors and anchor not in pages[target].anchors:
                broken.append((address, link))
    assert not broken


def test_a_browser_opens_it_without_an_error_and_its_search_finds_a_layer(site, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait
    for page in ("", "your_policy/", "results/rivals/", "api/"):
        browser.get(site + page)
        WebDriverWait(browser, 20).until(lambda _: browser.execute_script("return document.readyState") == "complete")
        pictures = browser.execute_script("return [...document.images].map(each => each.naturalWidth)")
        assert all(pictures), page
    browser.get(site)
    field = browser.find_element(By.CSS_SELECTOR, "input.md-search__input")
    browser.execute_script("document.querySelector('#__search').click()")
    WebDriverWait(browser, 20).until(lambda _: field.is_displayed())
    field.send_keys("RoIPooling")
    found = WebDriverWait(browser, 20).until(
        lambda _: browser.find_elements(By.CSS_SELECTOR, "a.md-search-result__link"))
    assert any("RoIPooling" in link.get_attribute("href") for link in found)
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors
