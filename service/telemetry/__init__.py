"""What the service tells of its work: counts, one line an inference, traces; never of a patient."""
