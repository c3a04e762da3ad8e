"""Spoils signed notes in one place."""


def spoil_signature(note: bytes, place: int) -> bytes:
    """Change one signature of a note in its middle, and nothing else."""
    text, _, ending = note.rpartition(b"\n\n")
    lines = ending.split(b"\n")
    middle = len(lines[place]) // 2
    other = b"B" if lines[place][middle : middle + 1] == b"A" else b"A"
    lines[place] = lines[place][:middle] + other + lines[place][middle + 1 :]
    return text + b"\n\n" + b"\n".join(lines)
