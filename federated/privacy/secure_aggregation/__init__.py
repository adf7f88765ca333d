"""Secure aggregation: an operator learns the sum of the parties' vectors and nothing else about any of them.

Protocol: Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning" (CCS 2017), with the
sparse graph of Bell et al., "Secure single-server aggregation with (poly)logarithmic overhead" (CCS 2020). Every party
masks its vector in the ring of 64-bit integers with a stream of its own and one stream a neighbour; neighbours' streams
cancel in the sum. Seeds are shared among neighbours (Shamir), so that masks of parties who drop out can be removed.

Guarantee, for honest parties whose signing keys the others know: an operator who colludes with fewer than
`threshold` − 1 of a party's neighbours sees that party's vector only inside the sum over all survivors, under the
hardness of X25519 and the security of AES-CTR, ChaCha20-Poly1305 and HKDF. An operator who shows different survivors to
different parties is found out, because survivors are signed and a party releases shares once a round, and of each
neighbour either the share of its own stream or that of its key, never both. Left visible: who took part, who dropped
out, and the sum.
"""
