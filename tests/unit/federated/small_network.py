"""Settings of the small network that the tests of this folder train."""

from datetime import UTC, datetime

from federated.training.settings import TrainingSettings

AT = datetime(2026, 11, 22, tzinfo=UTC)
SMALL = TrainingSettings(bins=16, hidden=16, members=2, max_rounds=10, learning_rate=5e-3, patience=3)
