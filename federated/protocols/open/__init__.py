"""The model zoo's training: one protocol for banks only, a bank with grid companies, and several of both.

Every learner alternates between the banks' block and the grid companies' block of one summed logit. What nodes of one
kind send is added up by the operator, so it does not matter how many nodes hold the rows.
"""
