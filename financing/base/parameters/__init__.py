"""Dated, cited data files (factors, methodologies, limits, classes, products, rates) and their strict loader."""

from financing.base.parameters.loader import Parameters, load_parameters

__all__ = ["Parameters", "load_parameters"]
