"""A training run: the step, the losses, what is kept and drawn."""
