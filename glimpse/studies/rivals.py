"""The best learned policy of a study against every rival and control with as many glimpses.

A cell is a policy with its further axes, such as SUPERVISION. Cells are held against each other where they agree in the
number of glimpses, and in all axes on which every run has a value, such as the pooled size: those are of the network.
"""

import numpy as np
import pandas as pd

from glimpse.studies.intervals import holm, sign_flip_test, t_interval, t_test
from glimpse.studies.resampling import over_images
from glimpse.studies.runs import axes_of, cell_axes_of, cell_name
from glimpse.studies.tables import cells_of


def pairs_with_rivals(runs, chosen_by):
    """Which runs are held against which.

    Args:
        runs: DataFrame of `read_study`, best first within what is compared.
        chosen_by: name of the column by whose mean the best learner is chosen. Of another split than the one reported,
            it leaves the comparison free of the luck of the choice.

    Returns:
        DataFrame with a row a rival or control, by number of glimpses: the axes that both share; "learner" and
        "against", the names of the two cells; "role" of the second; "mine" and "theirs", lists of the names of their
        runs, paired by seed. Without rows where nothing can be compared.
    """
    shared = [axis for axis in cell_axes_of(runs)
              if axis not in ("POLICY",) and (axis == "NUM_GLIMPSES" or runs[axis].notna().all())]
    own = [axis for axis in cell_axes_of(runs) if axis not in shared]
    rows = []
    for key, place in runs.groupby(shared, dropna=False, observed=True) if shared else [((), runs)]:
        cells = [(cell_name(own, cell[own].iloc[0]), cell) for _, cell in cells_of(place)]
        learners = [(cell[chosen_by].mean(), name, cell) for name, cell in cells if _role(cell) == "learns"]
        learners = [each for each in learners if not np.isnan(each[0])]
        if not learners:
            continue
        _, learner, mine = max(learners, key=lambda each: each[0])
        for name, theirs in cells:
            common = sorted(set(mine["SEED"]) & set(theirs["SEED"]))
            if _role(theirs) in ("rival", "control") and common:
                both = [list(cell.index[cell["SEED"] == seed])[0] for cell in (mine, theirs) for seed in common]
                rows.append([*key, learner, name, _role(theirs), both[:len(common)], both[len(common):]])
    columns = [*shared, "learner", "against", "role", "mine", "theirs"]
    return pd.DataFrame(rows, columns=columns).astype({axis: runs[axis].dtype for axis in shared})


def against_rivals(pairs, values, resampled=None):
    """What the best learner gains over each rival and control: intervals, and p-values corrected for their number.

    Three tests answer "is the difference 0?". `p_images` is the one to quote where it is known, for who speaks of a
    difference means other test images as well. Else quote `p_seeds`, the paired t test: it belongs to the interval over
    seeds, and can be small at few seeds. `p_flips` assumes least, but at five seeds cannot fall below 0.0625. Each is
    corrected by Holm over those that the learner is compared to at as many glimpses.

    Args:
        pairs: of `pairs_with_rivals`.
        values: Series, run -> metric; NaN where it is undefined, which leaves out its pair.
        resampled: dict, run -> Resampled, of this metric, for some of the runs or for none.

    Returns:
        `pairs` with the columns "pairs", their number; "difference", "difference_low" and "difference_high", over
        seeds; "images_low" and "images_high", over seeds and images; "p_seeds", "p_images", "p_flips". NaN: not known.
    """
    rows = [_compared(row.mine, row.theirs, values, resampled or {}) for row in pairs.itertuples()]
    columns = ["pairs", "difference", "difference_low", "difference_high", "images_low", "images_high",
               "p_seeds", "p_images", "p_flips"]
    table = pd.concat([pairs.reset_index(drop=True), pd.DataFrame(rows, columns=columns)], axis=1)
    shared = axes_of(table)
    families = table.groupby(shared, dropna=False, observed=True) if shared else [((), table)]
    for _, family in families:
        for column in ("p_seeds", "p_images", "p_flips"):
            table.loc[family.index, column] = holm(family[column])
    return table.astype({"pairs": int})


def _compared(mine, theirs, values, resampled):
    """A row of `against_rivals`, p-values not yet corrected."""
    known = [pair for pair in zip(mine, theirs) if not np.isnan(values[list(pair)].to_numpy(float)).any()]
    differences = np.array([values[one] - values[other] for one, other in known])
    images = over_images([one for one, _ in known], [other for _, other in known], values, resampled)
    return [len(known), differences.mean() if known else np.nan, *t_interval(differences), *images[:2],
            t_test(differences), images[2], sign_flip_test(differences)]


def _role(cell):
    role = cell["role"].iloc[0]
    return None if pd.isna(role) else role
