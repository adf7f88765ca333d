"""How much a property is tried: enough to notice a fault at every check, and as long as it takes with `make soak`."""

import os

SOAKING = bool(os.environ.get("TANXIN_SOAK"))


def sized(usual, soak):
    return soak if SOAKING else usual
