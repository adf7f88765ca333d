"""What every protocol stands on: messages, alignment, rows, sessions, candidates, secure sums.

Nothing here names a protocol or imports one.
"""
