"""The page in a headless Chromium, used as a reader uses it: by clicks and keys."""

import pytest

from glimpse.explorer.explored import compare
from glimpse.explorer.page import page
from tests.explorer.made import NASTY, OBJECTS, made_run

BY_GAIN = ["a/1", "b/ü #1/1", "b/ü #1/2", "a/2", "b/ü #1/3"]  # +0.55, +0.20, +0.18, -0.10, unknown


@pytest.fixture(autouse=True)
def no_console_error(browser):
    browser.get_log("browser")
    yield
    assert not browser.get_log("browser")


@pytest.fixture
def open_page(browser, tmp_path):
    def open_page(*runs, fragment=""):
        (tmp_path / "x.html").write_text(page("test", runs, [{"POLICY": each.about["name"]} for each in runs]),
                                         encoding="utf-8")
        browser.get("about:blank")  # else another fragment alone would load nothing
        browser.get((tmp_path / "x.html").as_uri() + fragment)
    return open_page


@pytest.fixture
def ask(browser):
    return lambda script: browser.execute_script(f"return {script}")


@pytest.fixture
def listed(ask):
    return lambda: ask("[...document.querySelectorAll('tbody tr[data-id]')].map(each => each.dataset.id)")


@pytest.fixture
def chosen(ask):
    return lambda: ask("document.querySelector('tr.chosen')?.dataset.id")


@pytest.fixture
def press(browser):
    from selenium.webdriver.common.action_chains import ActionChains
    return lambda keys: ActionChains(browser).send_keys(keys).perform()


@pytest.fixture
def click(browser):
    from selenium.webdriver.common.by import By
    return lambda selector: browser.find_element(By.CSS_SELECTOR, selector).click()


@pytest.fixture
def give(browser, ask):
    """Gives a field of the filters a value, as typing or choosing does."""
    def give(name, value):
        browser.execute_script("const field = document.querySelector(`#filters [name='${arguments[0]}']`);"
                               "field.value = arguments[1]; field.dispatchEvent(new Event('input', {bubbles: true}));"
                               "if (field.value !== arguments[1]) throw new Error('no such value');", name, value)
    return give


def test_it_sorts(open_page, listed, click, ask):
    open_page(made_run())
    assert listed() == BY_GAIN
    click("[data-column=gain] button")
    assert listed() == [*BY_GAIN[3::-1], BY_GAIN[4]]  # what is not known stays at the end
    click("[data-column=class] button")
    assert listed() == ["a/2", "a/1", "b/ü #1/1", "b/ü #1/2", "b/ü #1/3"]
    click("[data-column=class] button")
    assert listed() == ["b/ü #1/2", "b/ü #1/3", "a/1", "b/ü #1/1", "a/2"]
    click("[data-column=iou-3] button")
    assert listed()[:4] == ["b/ü #1/2", "a/1", "b/ü #1/1", "a/2"]
    assert ask("[...document.querySelectorAll('[aria-sort]')].map(each => each.dataset.column)") == ["iou-3"]


def test_it_filters(open_page, listed, give, click, ask):
    open_page(made_run())
    assert ask("document.querySelector('#summary').textContent") == (
        "5 of 5 objects · IoU 0.63 → 0.70, P 0.53 → 0.70, found 40.0 % · gain +0.21")
    give("class", "=three")
    assert listed() == BY_GAIN[2::2]
    give("outcome", "=missed")
    assert listed() == BY_GAIN[4:]
    assert ask("document.querySelector('#summary').textContent").startswith("1 of 5 objects · IoU – → –, P – → –")
    click("#filters [type=reset]")
    assert listed() == BY_GAIN
    give("missed", "=too small")
    assert listed() == ["b/ü #1/1", "a/2"]
    give("missed", "")
    give("gain-from", "0.18")
    give("gain-to", "0.5")
    assert listed() == ["b/ü #1/1", "b/ü #1/2"]
    give("gain-from", "")
    assert listed() == ["b/ü #1/1", "b/ü #1/2", "a/2"]
    give("gain-to", "")
    give("image", "Ü #")
    assert listed() == ["b/ü #1/1", "b/ü #1/2", "b/ü #1/3"]
    give("class", f"={NASTY}")
    assert listed() == [] and "0 of 5" in ask("document.querySelector('#summary').textContent")


def test_keys_step_through_objects_and_glimpses(open_page, browser, chosen, press, ask):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
    open_page(made_run())
    assert chosen() == "a/1"
    press(Keys.ARROW_UP)
    assert chosen() == "a/1"
    press([Keys.ARROW_DOWN, "j", "j"])
    assert chosen() == "a/2"
    WebDriverWait(browser, 10, 0.1).until(lambda _: ask("location.hash") == "#a/2")
    assert ask("document.querySelector('#heading h2').textContent") == f"a, object 2 of 2: {NASTY}"
    press("k")
    assert chosen() == "b/ü #1/2"
    taken = "[...document.querySelectorAll('.card:not(.later)')].map(each => each.dataset.step)"
    assert ask(taken) == ["1", "2", "3"]
    press(Keys.ARROW_LEFT)
    assert ask(taken) == ["1", "2"]
    press(Keys.ARROW_LEFT * 2)
    assert ask(taken) == ["1"]
    press(Keys.ARROW_RIGHT)
    assert ask(taken) == ["1", "2"]
    press(Keys.ARROW_DOWN * 3)
    assert chosen() == "b/ü #1/3" and ask(taken) == []
    assert "No proposal overlaps this object" in ask("document.querySelector('article').textContent")
    press("/")
    press("jj")  # typed into the field, no keys of the page
    assert chosen() is None and ask("document.querySelector('[name=image]').value") == "jj"


def test_layers_are_switched_by_key_and_by_click(open_page, press, click, ask):
    open_page(made_run())

    def drawn():
        """Numbers in discs and in squares, and dashed lines of the truth, in the whole picture."""
        return ask("(picture => ['circle', 'rect + .number', '[stroke-dasharray=\"5 4\"]', '.caption'].map("
                   "each => picture.querySelectorAll(each).length))(document.querySelector('.picture svg'))")
    assert drawn() == [3, 3, 1, 0]
    press("g")
    assert drawn() == [1, 3, 1, 0]
    press("p")
    assert drawn() == [0, 3, 1, 0]
    press("a")
    assert drawn() == [0, 0, 1, 0]
    click("[data-layer=truth]")
    assert drawn() == [0, 0, 0, 0]
    press("od")  # another object, and one detection
    assert drawn() == [0, 0, 0, 2]
    press("gpat")
    assert drawn() == [3, 3, 1, 2]
    assert ask("document.querySelectorAll('.picture').length") == 2  # one of them closer
    assert ask("document.querySelectorAll('.picture.spare svg')[0].viewBox.baseVal.width") < 40


def test_it_plays_through_the_glimpses(open_page, browser, press, ask):
    from selenium.webdriver.support.ui import WebDriverWait
    open_page(made_run())
    taken = "document.querySelectorAll('.card:not(.later)').length"
    press(" ")
    assert ask(taken) == 1
    for count in (2, 3, 1):
        WebDriverWait(browser, 10, 0.1).until(lambda _, count=count: ask(taken) == count)
    press(" ")
    assert ask("document.querySelector('#play').textContent") == "▶"


def test_a_fragment_is_a_link_to_an_object(open_page, browser, chosen, ask):
    open_page(made_run(), fragment="#b%2F%C3%BC%20%231/2")
    assert chosen() == "b/ü #1/2"
    assert ask("document.querySelector('#link').getAttribute('href')") == "#b%2F%C3%BC%20%231/2"
    browser.execute_script("location.hash = '#a/2'")
    assert chosen() == "a/2"
    open_page(made_run(), fragment="#none/9")
    assert chosen() == "a/1"


def test_two_runs_stand_side_by_side_sorted_by_their_difference(open_page, listed, give, ask, press):
    first, second = made_run(), made_run("second", count=1, factor=0.5)
    compare(first, second)
    open_page(first, second)
    assert listed() == ["a/1", "b/ü #1/1", "b/ü #1/2", "a/2", "b/ü #1/3"]
    cells = "[...document.querySelector('tr.chosen').cells].map(each => each.textContent)"
    assert ask(cells) == ["a/1", "one", "+0.68", "0.80", "1.00", "+0.55", "found", "0.50", "0.25", "found",
                          "well placed"]
    assert ask("[...document.querySelectorAll('h3')].slice(0, 2).map(each => each.textContent)") == [
        "A: first", "B: second"]
    assert ask("[...document.querySelectorAll('article')].map(each => each.querySelectorAll('.card').length)") == [3, 1]
    assert ask("document.querySelector('#summary').textContent").endswith("A − B +0.35")
    give("difference-from", "0.2")
    give("outcome-B", "=found")
    assert listed() == ["a/1", "b/ü #1/1"]
    press("?")
    assert ask("document.querySelector('#keys-dialog').open")


def test_colours_follow_the_system_unless_one_is_chosen(open_page, browser, click, ask):
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    seen = {}
    for theme in ("dark", "light"):
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": theme}]})
        open_page(made_run())
        seen[theme] = ask(colour)
    assert seen == {"dark": "rgb(21, 24, 28)", "light": "rgb(255, 255, 255)"}
    click("#theme")
    assert ask(colour) == seen["dark"]
    click("#theme")
    click("#theme")
    assert ask("document.documentElement.dataset.theme") == "system"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_is_wider_than_the_window(open_page, browser, ask, width):
    first, second = made_run(name="POLICY=learned," * 6), made_run("second")
    compare(first, second)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 500})
    for runs in ((first,), (first, second)):
        open_page(*runs)
        assert ask("document.documentElement.scrollWidth") <= width
        assert ask("document.querySelector('.picture:not(.spare)').getBoundingClientRect().width") > 0.2 * width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_long_list_is_drawn_as_far_as_it_is_needed(open_page, listed, press, chosen, ask):
    from selenium.webdriver.common.keys import Keys
    run = made_run(objects=[(f"image-{place:04d}", *OBJECTS[0][1:]) for place in range(450)])
    open_page(run)
    assert len(listed()) == 200
    open_page(run, fragment="#image-0205/1")
    press(Keys.ARROW_DOWN)
    assert chosen() == "image-0206/1" and len(listed()) == 400
    top, bottom, line = ask("[document.querySelector('thead').getBoundingClientRect().bottom, innerHeight,"
                            "document.querySelector('tr.chosen').getBoundingClientRect().top]")
    assert top - 1 <= line < bottom
