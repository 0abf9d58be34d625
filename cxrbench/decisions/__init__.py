"""Decision rules: what becomes of decisions once each class has met its threshold."""
