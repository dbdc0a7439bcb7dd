"""The report of a study: `report.md`, its pictures, and `report.html`, which holds all; `__main__` is the program.

It reads in the order of the data: contents (tables from the runs), pictures, sections (Markdown, by tables), page
(HTML), and document, which writes them.
"""
