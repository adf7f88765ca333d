"""Secure aggregation: an operator learns the sum of the parties' vectors and nothing else about any of them.

Protocol: Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning" (CCS 2017), with the
sparse graph of Bell et al., "Secure single-server aggregation with (poly)logarithmic overhead" (CCS 2020). Every party
masks its vector in the ring of 64-bit integers with a stream of its own and one stream a neighbour; neighbours' streams
cancel in the sum. Seeds are shared among neighbours (Shamir), so that masks of parties who drop out can be removed.

Guarantee, for honest parties whose signing keys the others know, against an operator who does not follow the protocol
and colludes with c of the h parties that hold shares of a party's seeds (itself and its neighbours). If all are
neighbours of each other and c < 2·threshold − h, the party's vector is seen only inside a sum with those of at least
threshold − 1 − c honest others. This is under the hardness of X25519 and the security of AES-CTR, ChaCha20-Poly1305,
HKDF and SHA-256. Why 2·threshold − h: parties release shares once, for a list of survivors that `threshold` of them
signed. An honest one signs one list and a colluder any number, so two lists need 2·(threshold − c) honest parties of
h − c. At h = 2·threshold − 1 one colluder who signs two lists opens anybody's vector (`attacks.secure_sums`). With
threshold = h any number is stood, and nobody may drop out. In a sparse graph lists can also differ along the ring: a
party and its neighbour at distance d have all but d holders in common, so the mask between them stays if
c + d < 2·threshold − h, and it is in a sum with the nearest such honest neighbour at least. A party refuses a plan that
claims to stand more colluders than it does (`Plan.colluders`), in a sparse graph with d = 1.

Who is whose neighbour in a sparse graph follows from nonces of all parties, each committed to, signed, before any is
shown, so nobody chooses it: neither the operator nor who shows its nonce last. A nonce that is not shown voids the
round. An operator may void rounds for another draw; against that, whoever makes vectors makes each for one round only.
Of c colluders among n parties a party's k neighbours hold c·k/n on average, and now and then more than `colluders`. All
that share seeds hold the same list of parties and the same graph, or their shares do not open.

Left visible: who took part, who dropped out, and the sum. Colluders among those in the sum can subtract their own
vectors from it, and whether the others have anything to add is for the caller to know.
"""
