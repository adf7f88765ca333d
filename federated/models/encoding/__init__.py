"""From a party's columns to numbers every learner takes: bins, ramps, hats, categories, sketches."""
