import pytest

from detector.simulate import SimulationPlan


def test_default_plan_stands():
    """A plan without arguments can be carried out."""
    assert SimulationPlan().end - SimulationPlan().start == 86_400 * 1_000_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hosts": 0}, "hosts and lines"),
        ({"lines": 0}, "hosts and lines"),
        ({"duration_s": 60}, "duration_s must be at least 3600"),
        ({"noise_share": 0.5}, "noise_share must lie between"),
        ({"incidents": -1}, "must not be negative"),
        ({"hosts": 3, "reboots": 4}, "hosts reboot"),
        (
            {"hosts": 1, "reboots": 0, "same_uptime_pairs": 0, "reboot_pairs": 0},
            "cross_host_pairs need",
        ),
    ],
)
def test_impossible_plan_is_refused_in_words(wrong, message):
    """What cannot be planted is refused with the name of the field."""
    with pytest.raises(ValueError, match=message):
        SimulationPlan(**wrong)
