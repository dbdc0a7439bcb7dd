import os
import random

import numpy as np
import pytest

from glimpse.data.array_cache import ArrayCache
from glimpse.errors import GlimpseError
from tests.data.mutated import broken

IMAGE = np.zeros([4, 5, 3], np.uint8)


@pytest.fixture
def cache(tmp_path):
    return ArrayCache(tmp_path / "cache", (None, 4))


def test_what_was_saved_is_loaded(cache):
    cache.save(cache.path(IMAGE), np.arange(8, dtype=np.uint16).reshape(2, 4))
    np.testing.assert_array_equal(cache.load(cache.path(IMAGE)), [[0, 1, 2, 3], [4, 5, 6, 7]])
    assert cache.path(IMAGE) != cache.path(IMAGE + 1) and cache.path(IMAGE) != cache.path(IMAGE.reshape(5, 4, 3))


def test_a_broken_file_is_named_with_its_cure(cache):
    path = cache.path(IMAGE)
    cache.save(path, np.ones([2, 4], np.uint16))
    whole = path.read_bytes()
    for content in (b"", b"boxes", whole[:60], b"PK\3\4", whole.replace(b"(2, 4)", b"(2,99)"),
                    whole.replace(b"'<u2'", b"'|O8'")):
        path.write_bytes(content)
        with pytest.raises(GlimpseError, match=r"\.npz is broken \(.*\); remove it, and it is computed again") as error:
            cache.load(path)
        assert str(error.value).isprintable()
    for number in range(int(os.environ.get("GLIMPSE_MUTATIONS", 2400)) // 8):
        path.write_bytes(broken(random.Random(number), whole))
        try:
            np.testing.assert_array_equal(cache.load(path), np.ones([2, 4]))
        except GlimpseError as error:
            assert str(path) in str(error) and str(error).isprintable()
