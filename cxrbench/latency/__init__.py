"""How fast a trained network is, and whether it is still the same network, by runtime.

``session`` asks a fresh process for each row (``process``), which builds an engine, measures it
(``measure``, ``split``) and predicts the test images; ``gate`` compares these with eager fp32's, and
``record`` keeps it all. Measurements are records, no stages: nothing of a run depends on them.
"""
