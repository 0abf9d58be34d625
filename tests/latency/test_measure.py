"""Samples in order, none left out; warm-up until what is measured has settled."""

import time

from cxrbench.latency.measure import LEAST, WINDOW, sample, warm_up


def test_there_are_never_fewer_than_30_samples_and_never_more_than_asked():
    assert len(sample(lambda: time.sleep(0.001), False, 1000, 0.0).wall_ms) == LEAST
    assert len(sample(lambda: None, False, 50, 60.0).wall_ms) == 50


def test_samples_stand_in_the_order_in_which_they_were_taken():
    waits = iter([0.001] * 20 + [0.02] + [0.001] * 19)
    found = sample(lambda: time.sleep(next(waits)), False, 40, 60.0).wall_ms
    assert found.argmax() == 20
    assert found.min() >= 1


def test_warm_up_ends_when_windows_agree_and_not_while_calls_get_faster():
    waits = iter([0.02 * 0.9**k for k in range(60)])

    def call():
        time.sleep(next(waits, 0.004))

    warmed = warm_up(call, False)
    assert warmed.stable
    assert warmed.passes > 3 * WINDOW


def test_what_never_settles_is_told():
    calls = iter(range(10_000))
    warmed = warm_up(lambda: time.sleep(0.0005 * (1 + next(calls) // WINDOW % 3)), False, most_seconds=0.3)
    assert not warmed.stable
    assert warmed.seconds >= 0.3
