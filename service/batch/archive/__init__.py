"""`mammoseg archive`: a whole archive, on one machine or many, with one result for each image."""
