import pathlib
import platform

import pytest

from glimpse.training.environment import processor, processor_of

X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC
flags\t\t: fpu avx2

processor\t: 1
model\t\t: 2
model name\t: other
"""


def test_two_generations_under_one_name_are_told_apart():
    assert processor_of(X86) == "AMD EPYC (family 25, model 1)"
    assert processor_of(X86.replace("25", "26")) == "AMD EPYC (family 26, model 1)"


def test_a_processor_without_family_or_name(monkeypatch):
    assert processor_of("model name\t: Some CPU: fast\n") == "Some CPU: fast"
    arm = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU part\t: 0xd40\n"
    with pytest.raises(KeyError):
        processor_of(arm)
    monkeypatch.setattr(pathlib.Path, "read_text", lambda path: arm)
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert processor() == platform.machine()
