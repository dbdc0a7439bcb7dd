"""mAP over the time of an image: all T glimpses of every proposal, and early stopping."""

from matplotlib.figure import Figure

FIXED, STOPPING = ("#0072B2", "o"), (("#D55E00", "s"), ("#009E73", "D"), ("#CC79A7", "v"), ("#E69F00", "P"))


def plot_map_over_milliseconds(rows):
    """Draws the detection rows of `experiments.benchmark glimpses`.

    Args:
        rows: list of dicts: "glimpses", T; "confidence" that a proposal shows background, at which it gets no further
            glimpse, None for all T; "ms", an image; "map" in 0..1; "run", a name. Rows of one run with a confidence
            make a line.

    Returns:
        matplotlib.figure.Figure.
    """
    figure = Figure(figsize=(7.2, 4.8), layout="constrained", facecolor="white")
    axes = figure.subplots()
    whole = [row for row in rows if row["confidence"] is None]
    axes.plot([row["ms"] for row in whole], [100 * row["map"] for row in whole], FIXED[1], color=FIXED[0],
              linestyle="none",
              markersize=8, label="all T")
    for row in whole:
        axes.annotate(f"T = {row['glimpses']}", (row["ms"], 100 * row["map"]), (0, -16), textcoords="offset points",
                      ha="center", color=FIXED[0])
    runs = dict.fromkeys(row["run"] for row in rows if row["confidence"] is not None)
    for run, (colour, marker) in zip(runs, STOPPING):
        line = sorted((row for row in rows if row["run"] == run and row["confidence"] is not None),
                      key=lambda row: row["confidence"])
        axes.plot([row["ms"] for row in line], [100 * row["map"] for row in line], color=colour, marker=marker,
                  label=f"at most {line[0]['glimpses']}, "
                        f"stopping at {line[0]['confidence']:g} to {line[-1]['confidence']:g}")
    axes.set_xlabel("time (ms an image)")
    axes.set_ylabel("mAP 50:95 (%)")
    axes.set_xlim(left=0)
    axes.margins(x=0.1, y=0.15)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="lower right",
                title="glimpses of a proposal, and the probability\nof background at which they stop" if runs else None)
    return figure
