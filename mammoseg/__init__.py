"""Find lesions in mammograms. Research use only: not a medical device."""
