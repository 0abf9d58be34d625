"""Where stored runs fail: the same test images under several of them.

``panel`` puts runs side by side, ``counts`` counts who is wrong where, ``images`` chooses those to look at,
``slices`` finds patients with excess errors, ``label_errors`` labels that are likely wrong, ``thumbnails``
shows images, and ``analysis`` is all of it.
"""
