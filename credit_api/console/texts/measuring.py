"""Texts of methodologies, workings and verification work."""

TEXTS: dict[str, tuple[str, str]] = {
    "claim.buffer": ("其中缓冲留存", "Of it withheld in the buffer"),
    "claim.deducted": ("不确定性扣减比例 {share}", "Deducted for uncertainty: a share of {share}"),
    "claim.parameters": ("参数与出处", "Parameters and their sources"),
    "claim.corrected": (
        "提交后电网节点收到读数更正;本申报仍以提交时的读数为准。",
        "Readings were corrected at the grid node after this claim was submitted; the claim keeps what it rests on.",
    ),
}
