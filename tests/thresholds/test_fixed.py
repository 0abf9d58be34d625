import numpy as np

from cxrbench.thresholds.fixed import Fixed


def test_every_finding_gets_the_threshold():
    points = Fixed(threshold=0.4).fit(np.zeros((5, 3)), np.full((5, 3), np.nan), calibrated=False)
    assert [(p.threshold, p.feasible, p.reason) for p in points] == [(0.4, True, "")] * 3
