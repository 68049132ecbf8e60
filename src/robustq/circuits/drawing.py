"""A circuit as text for a terminal and as an SVG figure for a page."""

from __future__ import annotations

from html import escape

from robustq.circuits.circuit import Circuit, Operation

_CONTROLS = {"cx": 1, "cy": 1, "cz": 1, "ch": 1, "crx": 1, "cry": 1, "crz": 1, "cp": 1, "ccx": 2, "cswap": 1}


def columns(circuit: Circuit) -> list[list[Operation]]:
    """The operations packed to the left, one list a column, none overlapping.

    >>> from robustq.circuits import ansaetze
    >>> len(columns(ansaetze.brickwork(2, layers=1)))
    2
    """
    free = [0] * circuit.qubits
    packed: list[list[Operation]] = []
    for operation in circuit.operations:
        span = range(min(operation.qubits), max(operation.qubits) + 1)
        column = max(free[q] for q in span)
        for q in span:
            free[q] = column + 1
        if column == len(packed):
            packed.append([])
        packed[column].append(operation)
    return packed


def to_text(circuit: Circuit, *, angles: bool = False) -> str:
    """The circuit drawn with characters, one line a qubit.

    >>> from robustq.circuits import ansaetze
    >>> print(to_text(ansaetze.brickwork(2, layers=1)))
    q0: ─RY──●─
    q1: ─RY──Z─
    """
    start = "ψ(x)─" if circuit.amplitudes else ""
    label = len(str(circuit.qubits - 1))
    lines = [f"q{q:<{label}}: {start}" for q in range(circuit.qubits)]
    for column in columns(circuit):
        cells = ["─"] * circuit.qubits
        for operation in column:
            for q in range(min(operation.qubits), max(operation.qubits) + 1):
                cells[q] = _cell(operation, q, angles)
        width = max(map(len, cells))
        lines = [line + f"─{cell:─<{width}}─" for line, cell in zip(lines, cells, strict=True)]
    return "\n".join(lines)


def _cell(operation: Operation, qubit: int, angles: bool) -> str:
    if qubit not in operation.qubits:
        return "│"
    controls = _CONTROLS.get(operation.gate, 0)
    if qubit in operation.qubits[:controls]:
        return "●"
    name = operation.gate[controls:] if controls else operation.gate
    shown = f"({', '.join(map(str, operation.angles))})" if angles and operation.angles else ""
    return name.upper() + shown


_STEP, _ROW, _BOX = 46, 38, 34


def to_svg(circuit: Circuit) -> str:
    """The circuit as a self-contained SVG picture; encoders are drawn in a second colour.

    >>> from robustq.circuits import encodings
    >>> to_svg(encodings.angle(2)).startswith("<svg")
    True
    """
    packed = columns(circuit)
    left = 74 if circuit.amplitudes else 40
    width, height = left + _STEP * len(packed) + 20, _ROW * circuit.qubits + 12
    body = [_wire(q, left, width) for q in range(circuit.qubits)]
    if circuit.amplitudes:
        body.append(_box(left - 22, 6, 26, height - 12, "ψ(x)", True))
    for index, column in enumerate(packed):
        for operation in column:
            body += _glyphs(operation, left + _STEP * index + _STEP // 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="circuit" '
        'font-family="system-ui, sans-serif" font-size="12" text-anchor="middle">' + "".join(body) + "</svg>"
    )


def _y(qubit: int) -> int:
    return 6 + _ROW * qubit + _ROW // 2


def _wire(qubit: int, left: int, width: int) -> str:
    y = _y(qubit)
    return (
        f'<text x="14" y="{y + 4}" fill="#64748b">q{qubit}</text>'
        f'<line x1="{left - 10}" y1="{y}" x2="{width - 8}" y2="{y}" stroke="#94a3b8"/>'
    )


def _box(x: int, y: int, width: int, height: int, text: str, encoder: bool) -> str:
    fill = "#fef3c7" if encoder else "#e0e7ff"
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" fill="{fill}" '
        f'stroke="#334155"/><text x="{x + width / 2:g}" y="{y + height / 2 + 4:g}" '
        f'fill="#0f172a" font-size="10">{escape(text)}</text>'
    )


def _glyphs(operation: Operation, x: int) -> list[str]:
    rows = [_y(q) for q in operation.qubits]
    drawn = []
    if len(rows) > 1:
        drawn.append(f'<line x1="{x}" y1="{min(rows)}" x2="{x}" y2="{max(rows)}" stroke="#334155"/>')
    controls = _CONTROLS.get(operation.gate, 0)
    for row in rows[:controls]:
        drawn.append(f'<circle cx="{x}" cy="{row}" r="4" fill="#334155"/>')
    name = operation.gate[controls:].upper()
    for row in rows[controls:]:
        drawn.append(_box(x - _BOX // 2, row - 13, _BOX, 26, name, operation.has_inputs))
    return drawn
