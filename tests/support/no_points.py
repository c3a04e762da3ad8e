"""Bytes that look like a commitment, and are none."""

from ledger.commitments import group
from ledger.encoding import encode_base64

ORDER_2 = b"\xec" + b"\xff" * 30 + b"\x7f"
ORDER_8 = bytes.fromhex(
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
)

NO_POINTS = {
    name: encode_base64(data)
    for name, data in {
        "identity": group.IDENTITY,
        "order 2": ORDER_2,
        "order 4": bytes(32),
        "order 8": ORDER_8,
        "mixed order": group.add(group.SECOND_BASE, ORDER_8),
        "not on the curve": b"\x02" + bytes(31),
        "not canonical": b"\xee" + b"\xff" * 30 + b"\x7f",
    }.items()
}
"""By what is wrong with them."""
