"""From settings to what serves: models, and all that is opened beside them."""
