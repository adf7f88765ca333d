"""Horizontal training that a minority of lying banks does not decide, in the mode that the banks allow."""
