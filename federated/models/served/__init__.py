"""What is served: functions and tables, blends, calibration, scaling, reasons, held-out metrics. Numpy alone."""
