"""What the benches that need a GPU share: which one it is, and models of known shapes with random weights."""
