"""What a run's probabilities and decisions are worth on test: the parts of the stage ``evaluate``.

Everything here takes arrays ``[n, c]`` of the test images and gives tables or JSON values; what is undefined
is NaN. How each number is computed, and what it means: ``docs/statistics.md``.
"""
