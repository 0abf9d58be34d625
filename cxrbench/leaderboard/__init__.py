"""The leaderboard: systems on one test set, with intervals, and groups where they do not differ.

``entries`` reads stored runs, ``ranking`` makes boards of them, ``kept`` keeps the boards until a run is
added or removed. Nothing here draws or writes for people; that is ``report``'s affair.
"""
