"""The end of a bank's business day: the whole book taken forward, revalued, classified, provided for, and posted."""
