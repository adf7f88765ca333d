"""Dated, cited data files (factors, methodologies, limits, classes, products, rates) and their strict loader."""
