"""Jobs: from a signed order to a paid slice."""
