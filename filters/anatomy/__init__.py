"""What `filters.behaviours` is made of: the table of markers, the search for them, reading ease."""
