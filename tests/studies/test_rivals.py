import numpy as np
import pytest
from scipy import stats

from glimpse.studies.rivals import against_rivals, pairs_with_rivals
from glimpse.studies.runs import axes_of, read_study
from glimpse.studies.tables import by_result

MAP = "voc10_map@0.50"
METRIC = f"test/{MAP}"


def compared(runs, by=METRIC):
    return against_rivals(pairs_with_rivals(runs, by), runs[METRIC])


def test_the_best_learner_against_each_rival_by_hand(tmp_path, write_run):
    values = [(0.50, 0.6, 0.45, 0.2), (0.70, 0.8, 0.60, 0.3), (0.60, 0.7, 0.63, 0.1)]
    for seed, (learned, every, refine, fixed) in enumerate(values):
        write_run(tmp_path, f"NUM_GLIMPSES=1,SEED={seed}", 0.1)
        write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=learned,SEED={seed}", learned)
        write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=learned,SUPERVISION=every,SEED={seed}", every)
        write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=refine,SUPERVISION=last,SEED={seed}", refine, policy_role="rival")
        write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=oracle,SEED={seed}", 0.99, policy_role="ceiling")
        if seed:
            write_run(tmp_path, f"NUM_GLIMPSES=3,POLICY=fixed,SEED={seed}", fixed)
    write_run(tmp_path, "NUM_GLIMPSES=5,POLICY=learned,SEED=0", 0.8)
    write_run(tmp_path, "NUM_GLIMPSES=5,POLICY=repeat,SEED=0", 0.5)
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=learned,SEED=0", 0.8)
    write_run(tmp_path, "NUM_GLIMPSES=2,POLICY=repeat,SEED=1", 0.5)  # no pair
    table = compared(by_result(read_study(tmp_path), METRIC))
    assert axes_of(table) == ["NUM_GLIMPSES"]
    assert table[["NUM_GLIMPSES", "learner", "against", "role", "pairs"]].to_numpy().tolist() == [
        [3, "learned, SUPERVISION=every", "refine, SUPERVISION=last", "rival", 3],
        [3, "learned, SUPERVISION=every", "fixed", "control", 2], [5, "learned", "repeat", "control", 1]]
    np.testing.assert_allclose(table["difference"], [(0.15 + 0.2 + 0.07) / 3, (0.5 + 0.6) / 2, 0.3])
    three = stats.ttest_1samp([0.15, 0.2, 0.07], 0)
    np.testing.assert_allclose(table.loc[0, ["difference_low", "difference_high"]].to_numpy(float),
                               three.confidence_interval())
    # Two are compared at three glimpses: Holm doubles the smaller p of both, and the other is no smaller.
    two = stats.ttest_1samp([0.5, 0.6], 0).pvalue
    smaller, larger = sorted([three.pvalue, two])
    assert sorted(table["p_seeds"][:2]) == pytest.approx([2 * smaller, max(2 * smaller, larger)])
    assert table["p_flips"][:2].tolist() == [0.5, 0.5]  # 2/8 doubled, 2/4
    assert np.isnan(table["p_seeds"][2]) and table[["images_low", "p_images"]].isna().all(axis=None)


def test_the_learner_is_chosen_on_another_split(tmp_path, write_run):
    cells = ("a", "learns", 0.9, 0.5), ("b", "learns", 0.1, 0.8), ("c", "rival", 0.2, 0.6)
    for name, role, validation, test in cells:
        write_run(tmp_path, f"POLICY={name},SEED=0", 0.1, policy_role=role,
                  metrics={"validation": {MAP: validation}, "test": {MAP: test}})
    runs = read_study(tmp_path)
    chosen = compared(runs, f"validation/{MAP}")
    assert chosen[["learner", "against"]].to_numpy().tolist() == [["a", "c"]]
    assert chosen["difference"].tolist() == pytest.approx([-0.1])
    assert compared(runs)["learner"].tolist() == ["b"]


def test_what_every_run_has_a_value_of_must_agree(tmp_path, write_study):
    """A pooled size is of the whole network; a learning rate that the rival has not is of the policy."""
    runs = write_study(tmp_path, {
        "NUM_GLIMPSES=3,POLICY=learned,RATE=0.1,SIZE=3x7,SEED=0": 0.5,
        "NUM_GLIMPSES=3,POLICY=learned,RATE=0.2,SIZE=3x7,SEED=0": 0.3,
        "NUM_GLIMPSES=3,POLICY=learned,RATE=0.2,SIZE=5,SEED=0": 0.6,
        "NUM_GLIMPSES=3,POLICY=fixed,SIZE=3x7,SEED=0": 0.4,
        "NUM_GLIMPSES=3,POLICY=fixed,SIZE=5,SEED=0": 0.1,
    })
    table = compared(runs)
    assert table["SIZE"].tolist() == ["3x7", "5"]
    assert table["learner"].tolist() == ["learned, RATE=0.1", "learned, RATE=0.2"]
    np.testing.assert_allclose(table["difference"], [0.1, 0.5])


@pytest.mark.parametrize("names", [
    ["NUM_GLIMPSES=1"], ["NUM_GLIMPSES=2,POLICY=fixed"], ["NUM_GLIMPSES=2,POLICY=learned"],
    ["NUM_GLIMPSES=2,POLICY=learned", "NUM_GLIMPSES=3,POLICY=fixed"],
    ["NUM_GLIMPSES=2,POLICY=learned", "NUM_GLIMPSES=2,POLICY=unknown"]], ids=str)
def test_without_a_rival_there_is_nothing_to_compare(tmp_path, write_study, names):
    assert compared(write_study(tmp_path, {f"{name},SEED=0": 0.1 for name in names})).empty


def test_a_run_without_a_value_has_no_pair(tmp_path, write_run):
    for seed in range(2):
        write_run(tmp_path, f"POLICY=learned,SEED={seed}", 0.5)
        write_run(tmp_path, f"POLICY=fixed,SEED={seed}", 0.3, **({"metrics": {"test": {}}} if seed else {}))
    table = compared(read_study(tmp_path))
    assert table["pairs"].tolist() == [1] and table["difference"].tolist() == pytest.approx([0.2])
