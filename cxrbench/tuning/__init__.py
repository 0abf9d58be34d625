"""Search for settings: what may vary, Hyperband over it, and what a search leaves.

Literature: L. Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, JMLR 18,
2018. Of Optuna only ``hyperband`` knows.
"""
