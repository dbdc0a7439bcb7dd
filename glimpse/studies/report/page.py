"""From Markdown to one HTML file that holds all it shows: no script, no link, nothing that is fetched."""

import base64

from markdown_it import MarkdownIt

STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --page: #ffffff; --line: #d5d5d5; --head: #f1f1f1; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e4e4; --page: #17191c; --line: #44484d; --head: #25292e; } }
body { max-width: 68rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--page); overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.25; margin: 2em 0 0.6em; }
h1 { margin-top: 0.6em; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: 0.2em; }
.table { overflow-x: auto; margin: 1em 0; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3em 0.55em; border: 1px solid var(--line); text-align: left; }
th { background: var(--head); }
td { white-space: nowrap; }
img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: 4px; }
"""


def page(text, images, end="", style=""):
    """Converts the Markdown of a report.

    Args:
        text: Markdown (CommonMark with tables) that begins with a heading, the title of the page. HTML in it is
            shown as text.
        images: {path as named in the text: bytes of a PNG file}, of every image in it.
        end: HTML that stands below the text.
        style: rules of CSS beside those of the report.

    Returns:
        The page as text.
    """
    parser = MarkdownIt("js-default")
    tokens = parser.parse(text)
    for image in [child for token in tokens for child in token.children or () if child.type == "image"]:
        png = images[image.attrs["src"]]
        image.attrs["src"] = "data:image/png;base64," + base64.b64encode(png).decode()
        # All at one scale, so that their text is of one size: PNG has the width in bytes 16 to 19.
        image.attrs["width"] = int.from_bytes(png[16:20]) * 3 // 4
    body = parser.renderer.render(tokens, parser.options, {})
    # A table that is wider than the page scrolls on its own. No text can match: there "<" is "&lt;".
    body = body.replace("<table>", '<div class="table" tabindex="0"><table>').replace("</table>", "</table></div>")
    title = parser.renderer.render(tokens[1].children, parser.options, {})
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>{STYLE}{style}</style>\n</head>\n<body>\n{body}{end}</body>\n</html>\n")
