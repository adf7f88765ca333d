"""Serving: on-line federated scoring from exported weights. Loads neither torch nor Flower."""

from federated.serving.network import Network
from federated.serving.queries import Basis, NoFile, Score, ScoreQuery

__all__ = ["Basis", "Network", "NoFile", "Score", "ScoreQuery"]
