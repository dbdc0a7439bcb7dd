"""The report of a study: `report.md`, its pictures, and `report.html`, one file that holds all; run as a program, see `__main__`.

It reads in the order of the data: contents (tables from the runs), pictures, sections (Markdown), page (HTML), document.
"""
