"""Serving: on-line federated scoring from exported weights. Loads neither torch nor Flower."""

from federated.serving.network import Network
from federated.serving.queries import Basis, Electricity, NoFile, Score, ScoreQuery

__all__ = ["Basis", "Electricity", "Network", "NoFile", "Score", "ScoreQuery"]
