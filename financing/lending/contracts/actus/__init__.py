"""ACTUS contract types PAM, LAM, NAM, ANN, CEC and CEG: from terms and observations to cash-flow events.

Follows the ACTUS Technical Specification 1.1 (ACTUS Financial Research Foundation, https://www.actusfrf.org).
"""
