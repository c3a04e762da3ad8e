"""Patch levels of an SEV-SNP platform (its "TCB version")."""

from dataclasses import astuple, dataclass

TCB_BYTES = 8


@dataclass(frozen=True)
class Tcb:
    """One level from 0 to 255 for each part of the firmware that can be patched.

    Levels are only ever compared part by part: a newer microcode does not make
    up for an older bootloader.

    Source: AMD 56860, "SEV Secure Nested Paging Firmware ABI Specification", 2.2.
    """

    bootloader: int
    tee: int
    snp: int
    microcode: int
    fmc: int | None = None
    """Only platforms from Turin on have this part; it also moves the others."""

    def encode(self) -> bytes:
        """Write the 8 bytes that a report carries."""
        if self.fmc is None:
            return bytes(
                (self.bootloader, self.tee, 0, 0, 0, 0, self.snp, self.microcode)
            )
        levels = (self.fmc, self.bootloader, self.tee, self.snp)
        return bytes((*levels, 0, 0, 0, self.microcode))

    def reaches(self, minimum: "Tcb") -> bool:
        """Whether every part is at or above a minimum; a part it lacks counts as 0."""
        return all(
            (own or 0) >= (least or 0)
            for own, least in zip(astuple(self), astuple(minimum), strict=True)
        )


def parse_tcb(data: bytes, *, is_turin: bool) -> Tcb:
    """Read the 8 bytes of a report; reserved bytes are not looked at.

    Args:
        data: 8 bytes.
        is_turin: Whether the platform orders its parts as Turin does.
    """
    if is_turin:
        return Tcb(
            fmc=data[0],
            bootloader=data[1],
            tee=data[2],
            snp=data[3],
            microcode=data[7],
        )
    return Tcb(bootloader=data[0], tee=data[1], snp=data[6], microcode=data[7])
