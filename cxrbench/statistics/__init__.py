"""Statistics of scores and decisions: vectorised over classes, NaN where undefined.

Scores, probabilities, decisions and labels are ``[n, c]``: ``n`` images, ``c`` classes. Labels are 1, 0
or NaN (unknown); a cell with an unknown label is left out of its own column only. A function of such
arrays gives float64 ``[c]`` unless it says otherwise.
"""
