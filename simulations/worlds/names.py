"""Who plays in the sandbox: the banks, grid companies and other parties that every generated world has."""

from __future__ import annotations

REGISTRY, EXCHANGE, VERIFIER = "registry-sip", "exchange-seee", "verifier-cqc"
BANKS = ("bank-gusu", "bank-jinji", "bank-taihu")
GRIDS = ("grid-sip", "grid-gaoxin")

DEVELOPERS = (
    ("dev-loufeng", "娄葑精密制造", "Loufeng Precision"),
    ("dev-dushu", "独墅湖数据中心", "Dushu Lake Data Centre"),
    ("dev-weiting", "唯亭物流", "Weiting Logistics"),
    ("dev-xietang", "斜塘纺织", "Xietang Textile"),
    ("dev-shengpu", "胜浦电子", "Shengpu Electronics"),
    ("dev-yangcheng", "阳澄湖生态农场", "Yangcheng Lake Farm"),
)
BUYERS = (
    ("buyer-jinji-hotel", "金鸡湖酒店", "Jinji Lake Hotel"),
    ("buyer-biobay", "生物纳米园", "BioBAY Campus"),
)
# The CNAPS number under which the sandbox's transfers come in; no bank has it.
PAYER_BANK = "999305000001"
