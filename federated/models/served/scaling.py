"""From a probability of default to a score and a grade: points to double the odds.

score = ANCHOR_SCORE + PDO · log2(odds / ANCHOR_ODDS), odds = (1 − p) / p, rounded, clipped to 300–850.
Source of the scaling: Siddiqi, "Credit Risk Scorecards" (Wiley 2006), chapter 6. Anchors: 600 points stand for odds of
20 good to 1 bad (p = 4.76 %), and 40 points double the odds. Grades are intervals of the score.
"""

from __future__ import annotations

import math

SCORE_MIN = 300
SCORE_MAX = 850
ANCHOR_SCORE = 600
ANCHOR_ODDS = 20.0
PDO = 40.0

# Lowest score of each grade; the probability at the bound is 1.7 %, 4.8 %, 12.4 %, 28.6 %.
GRADE_FLOORS = (("A", 660), ("B", 600), ("C", 540), ("D", 480), ("E", SCORE_MIN))


# Where one band of scores ends and the next begins: what the shape of a population is compared by.
SCORE_BANDS = (420, 450, 480, 510, 540, 570, 600, 630, 660, 690, 720)


def probability_of(logit: float) -> float:
    """Logistic function, safe for any finite logit."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    odds = math.exp(logit)
    return odds / (1.0 + odds)


def score_of(logit: float) -> int:
    """Score of a logit of default, 300–850, higher is better."""
    points = ANCHOR_SCORE + PDO * (-logit / math.log(2.0) - math.log2(ANCHOR_ODDS))
    return round(min(max(points, SCORE_MIN), SCORE_MAX))


def logit_of(score: int) -> float:
    """Logit of default that a whole score stands for."""
    return -math.log(2.0) * ((score - ANCHOR_SCORE) / PDO + math.log2(ANCHOR_ODDS))


def grade_of(score: int) -> str:
    """Grade A (best) to E of a score."""
    return next(grade for grade, floor in GRADE_FLOORS if score >= floor)
