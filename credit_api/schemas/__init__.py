"""Request and response models: what crosses HTTP, with units in the names."""
