"""Model cards: what a version is, on one page in Chinese and English."""
