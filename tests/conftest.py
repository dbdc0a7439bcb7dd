import shutil
import signal

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox


@pytest.fixture(scope="session", autouse=True)
def own_key(tmp_path_factory):
    """A key for the notes of modules that is not the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal():
    """Programs that tests start would inherit that a shell has a job in the background ignore Ctrl-C."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) == signal.SIG_IGN:
            signal.signal(each, signal.SIG_DFL if each != signal.SIGINT else signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny():
    """Bindings that make a run of experiments/digits.gin a matter of seconds."""
    return [
        "TRAIN_STEPS = 6",
        "Experiment.batch_size = 2",
        "Experiment.log_every = 1",
        "Experiment.save_every = 3",
        "DigitScenes.sizes = {'train': 8, 'validation': 2, 'test': 4}",
        "WindowGrid.sizes = (20, 30)",
        "RoISampling.rois_per_image = 8",
        "small_cnn.filters = (4, 4, 4)",
        "GlimpseDetector.units = (16, 16)",
        "POOLED_SIZE = 3",
        "Trainer.episodes = 2",
    ]


@pytest.fixture
def assert_readable():
    """Draws a figure without a display and checks that no text is cut off, and none lies on another."""
    def check(figure):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        places = []
        for text in texts:
            box = text.get_window_extent(canvas.get_renderer())
            assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text
            assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text
            if not text.get_bbox_patch():  # the numbers of boxes that lie on each other may do so too
                places.append((text, box.padded(-1)))
        for index, (text, box) in enumerate(places):
            for other, other_box in places[:index]:
                assert Bbox.intersection(box, other_box) is None, (text, other)
        assert figure.get_facecolor() == (1, 1, 1, 1)
    return check


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, with what its console says in `get_log("browser")`."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium with its chromedriver here; `apt-get install chromium chromium-driver` installs both")
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()
