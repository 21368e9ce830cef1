"""The models that answer: several at once, replaced while they work, one in another's shadow."""
