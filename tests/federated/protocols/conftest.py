import pytest
from protected_world import World


@pytest.fixture(scope="module")
def fitted():
    """A world whose nodes trained together, and the operator's training."""
    world = World()
    training = world.training()
    training.fit()
    return world, training
