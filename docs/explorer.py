"""A hook of mkdocs: the explorer of the site, put together of the data in explorer.json and of today's page.

The data are those in the page that `python -m experiments.explore --run=examples/digits --images=60` writes.
"""

import json
import pathlib

from mkdocs.structure.files import File

from glimpse.explorer.page import put_together


def on_files(files, config):
    data = json.loads(pathlib.Path(config.docs_dir, "explorer.json").read_text(encoding="utf-8"))
    files.append(File.generated(config, "explorer.html", content=put_together(**data)))
    return files
