"""The parts every demo picture is made of: light, hills, trees, houses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

WIDTH: Final = 800
HEIGHT: Final = 600
Line = Callable[[float], float]
"""The height of a ridge at a place from left to right."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one hour of the day, from the sky down to the foreground."""

    sky: str
    haze: str
    sun: str
    far: str
    mid: str
    near: str
    ground: str
    deep: str
    light: str
    accent: str
    water: str


def _palette(colours: str) -> Palette:
    return Palette(*(f"#{each}" for each in colours.split()))


DAY: Final = (
    _palette("8fb8c9 fbe6c8 fff3d6 a9c0b8 7fa58f 55866c 3c6a52 1f4336 fdf6e9 d9763f 86b9c2"),
    _palette("eeb57f fdebcd fff6dd d9b08c b79563 838049 5d663b 383f26 fff7e8 b9502f a5c3b9"),
    _palette("7db4d4 e6f2f1 fff8e1 a6c5cf 7fb09c 5a956a 437b50 235039 ffffff e0903a 64a4c1"),
    _palette("7485ab f7d0b8 ffe6c8 ab9db3 7d8599 536b77 3c565a 21353b fdf1e7 e58a55 a3aac4"),
    _palette("b3d1ca f5f2e2 fffdf2 b3cdbf 87b095 5c8f6c 407152 214838 fffdf6 cf7c45 97c3c2"),
    _palette("a1c6cf f9edd3 fff7dc d2c5a6 c2a573 9c8250 776b41 46482c fffaf0 c25b34 88b8be"),
)
DUSK: Final = (
    _palette("22375c e8a97d fbe3bd 5b5f82 454f73 354363 273552 17223a ffe9b8 ffc76b 5d6f99"),
    _palette("1f3f4d e3b78b fff0cf 57767a 3f6167 2f4f56 223f46 132a31 ffedbf ffcb70 5c878e"),
)


def n(value: float) -> str:
    """Write a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def mix(one: str, two: str, share: float) -> str:
    """Return the colour ``share`` of the way from ``one`` to ``two``."""
    pairs = ((int(one[i : i + 2], 16), int(two[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def path(d: str, fill: str, extra: str = "") -> str:
    """Draw a filled path."""
    return f'<path d="{d}" fill="{fill}"{" " + extra if extra else ""}/>'


def stroke(d: str, colour: str, width: float, extra: str = "") -> str:
    """Draw a line with round ends."""
    return (
        f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{n(width)}"'
        f"{' ' + extra if extra else ''}/>"
    )


def polygon(points: Iterable[tuple[float, float]], fill: str, extra: str = "") -> str:
    """Draw a filled polygon."""
    return path("M" + "L".join(f"{n(x)} {n(y)}" for x, y in points) + "Z", fill, extra)


def rect(x: float, y: float, w: float, h: float, fill: str, r: float = 0) -> str:
    """Draw a rectangle, with round corners if ``r``."""
    corner = f' rx="{n(r)}"' if r else ""
    size = f'width="{n(w)}" height="{n(h)}"'
    return f'<rect x="{n(x)}" y="{n(y)}" {size} fill="{fill}"{corner}/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, extra: str = "") -> str:
    """Draw an ellipse."""
    space = " " if extra else ""
    return (
        f'<ellipse cx="{n(x)}" cy="{n(y)}" rx="{n(rx)}" ry="{n(ry)}" fill="{fill}"{space}{extra}/>'
    )


def circle(x: float, y: float, r: float, fill: str, extra: str = "") -> str:
    """Draw a circle."""
    space = " " if extra else ""
    return f'<circle cx="{n(x)}" cy="{n(y)}" r="{n(r)}" fill="{fill}"{space}{extra}/>'


class Scene:
    """One picture in the making: its chance, its colours, and what was drawn so far."""

    def __init__(self, chance: Random, palette: Palette) -> None:
        self.chance = chance
        self.palette = palette
        self.parts: list[str] = []
        self.defs: list[str] = []
        self.marks: dict[str, str] = {}
        self.mirrored = chance.random() < 0.5

    def add(self, *parts: str) -> None:
        """Draw on top of what is there."""
        self.parts.extend(parts)

    def stamp(self, mark: str, x: float, y: float, size: float, *, flip: bool = False) -> None:
        """Place ``mark``, drawn around 0 0; a mark used again is stored once."""
        name = self.marks.get(mark)
        if name is None:
            name = self.marks[mark] = f"m{len(self.marks)}"
            self.defs.append(f'<g id="{name}">{mark}</g>')
        factor = f"-{size:.2f} {size:.2f}" if flip else f"{size:.2f}"
        self.add(f'<use href="#{name}" transform="translate({x:.0f} {y:.0f})scale({factor})"/>')

    def gradient(self, top: str, bottom: str) -> str:
        """Return the paint that runs from ``top`` down to ``bottom``."""
        name = f"g{len(self.defs)}"
        self.defs.append(
            f'<linearGradient id="{name}" x2="0" y2="1"><stop stop-color="{top}"/>'
            f'<stop offset="1" stop-color="{bottom}"/></linearGradient>'
        )
        return f"url(#{name})"

    def sky(self, *, sun_height: float = 0.5, stars: bool = False) -> None:
        """Fill the sky: light, a sun or moon with its glow, clouds, birds."""
        p, chance = self.palette, self.chance
        self.add(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{self.gradient(p.sky, p.haze)}"/>')
        if stars:
            self.add(
                *(
                    circle(
                        chance.uniform(0, WIDTH),
                        chance.uniform(10, 210),
                        chance.choice((1, 1.3, 1.8)),
                        "#fff",
                        f'opacity=".{chance.randint(4, 9)}"',
                    )
                    for _ in range(26)
                )
            )
        x = chance.uniform(130, 670)
        y = 300 * sun_height + chance.uniform(-30, 30)
        r = chance.uniform(34, 50)
        self.add(
            circle(x, y, r * 3.4, p.sun, 'opacity=".14"'),
            circle(x, y, r * 2.1, p.sun, 'opacity=".2"'),
            circle(x, y, r, p.sun),
        )
        if stars:
            return
        for _ in range(chance.randint(2, 4)):
            self.cloud(chance.uniform(20, 700), chance.uniform(40, 190))
        if chance.random() < 0.6:
            bx, by = chance.uniform(150, 600), chance.uniform(90, 190)
            for i in range(chance.randint(3, 5)):
                self.add(
                    stroke(
                        f"M{n(bx + i * 30)} {n(by + (i % 3) * 14)}q6 -7 11 0q5 -7 11 0",
                        p.deep,
                        1.8,
                        'opacity=".55"',
                    )
                )

    def cloud(self, x: float, y: float) -> None:
        """Hang one flat cloud."""
        w = self.chance.uniform(90, 170)
        shapes = (
            rect(x, y, w, 16, "#fff", 8),
            rect(x + w * 0.2, y - 12, w * 0.5, 20, "#fff", 10),
            rect(x + w * 0.38, y + 8, w * 0.75, 13, "#fff", 6.5),
        )
        self.add(f'<g opacity=".{self.chance.randint(40, 68)}">{"".join(shapes)}</g>')

    def line(self, base: float, swing: float, waves: float = 1.5) -> Line:
        """Make up a rolling ridge around the height ``base``."""
        a, b = self.chance.uniform(0, 6.3), self.chance.uniform(0, 6.3)
        k = waves * self.chance.uniform(0.8, 1.25) * math.tau / WIDTH
        return lambda x: (
            base + swing * (0.7 * math.sin(k * x + a) + 0.3 * math.sin(2.3 * k * x + b))
        )

    def hill(self, line: Line, top: str, bottom: str) -> Line:
        """Fill everything below ``line``; return the line, to stand things on."""
        points = "L".join(f"{x} {n(line(x))}" for x in range(0, WIDTH + 1, 25))
        self.add(path(f"M0 {HEIGHT}L{points}L{WIDTH} {HEIGHT}Z", self.gradient(top, bottom)))
        return line

    def peaks(self, base: float, height: float, *, snow: bool = False) -> None:
        """Raise a range of angular mountains, lit from one side."""
        p, chance = self.palette, self.chance
        dark = mix(p.far, p.mid, 0.45)
        x = chance.uniform(-120, -20)
        while x < WIDTH:
            half = chance.uniform(110, 190)
            top = base - height * chance.uniform(0.55, 1)
            cx = x + half
            lean = chance.uniform(-20, 30)
            self.add(
                polygon(((x, base), (cx, top), (x + 2 * half, base)), p.far),
                polygon(((cx, top), (cx + lean, base), (x + 2 * half, base)), dark),
            )
            if snow:
                d = (base - top) * 0.24
                s = half / (base - top) * d
                cap = ((cx, top), (cx + s, top + d), (cx + s * 0.35, top + d * 0.7))
                rest = ((cx, top + d * 1.05), (cx - s * 0.4, top + d * 0.72))
                self.add(polygon((*cap, *rest, (cx - s, top + d)), p.light, 'opacity=".92"'))
            x += half * chance.uniform(0.9, 1.4)

    def land(self, horizon: float = 330) -> tuple[Line, Line]:
        """Lay two far ridges and a middle one; return the lines of the nearer two."""
        p = self.palette
        self.hill(self.line(horizon - 40, 26, 2), p.far, mix(p.far, p.haze, 0.55))
        middle = self.hill(self.line(horizon + 15, 24, 1.6), p.mid, mix(p.mid, p.haze, 0.35))
        nearer = self.hill(self.line(horizon + 75, 20, 1.3), p.near, p.ground)
        return middle, nearer

    def tree(self, kind: str, x: float, y: float, size: float, *, tone: float = 0) -> None:
        """Plant a tree; ``tone`` from 0, dark and near, to 1, lost in the haze."""
        p = self.palette
        tone = round(tone * 5) / 5  # few tones, so that trees of a picture share their mark
        leaf = mix(p.deep, p.mid, tone)
        lit = mix(leaf, p.near, 0.55)
        bark = mix(mix(p.deep, "#5b3a22", 0.6), p.mid, tone)
        if kind == "conifer":
            tiers = (
                polygon(((-w, y0), (0, y0 - 34), (w, y0)), leaf)
                for w, y0 in ((26, -8), (21, -30), (15, -52))
            )
            self.stamp(rect(-3, -10, 6, 12, bark) + "".join(tiers), x, y, size)
        elif kind == "acacia":
            trunk = stroke("M0 2C0 -20 2 -30 0 -42M0 -30L-20 -56M0 -34L22 -58M0 -42L4 -60", bark, 4)
            crown = ellipse(-20, -60, 30, 9, leaf) + ellipse(22, -62, 32, 10, leaf)
            top = ellipse(2, -70, 38, 10, leaf) + ellipse(-4, -73, 24, 5, lit)
            self.stamp(trunk + crown + top, x, y, size)
        elif kind == "palm":
            fronds = "".join(
                f"M6 -80Q{n(6 + dx * 0.5)} {n(-96 + dy * 0.2)} {n(6 + dx)} {n(-80 + dy)}"
                f"Q{n(6 + dx * 0.45)} {n(-82 + dy * 0.3)} 6 -80Z"
                for dx, dy in (
                    (-46, 14),
                    (-38, -14),
                    (-24, 34),
                    (46, 12),
                    (38, -16),
                    (26, 34),
                    (4, -36),
                )
            )
            self.stamp(stroke("M0 2Q-2 -40 6 -80", bark, 5) + path(fronds, leaf), x, y, size)
        else:
            crown = (
                circle(-13, -42, 20, leaf) + circle(14, -40, 21, leaf) + circle(0, -60, 23, leaf)
            )
            trunk = rect(-3.5, -30, 7, 32, bark)
            self.stamp(trunk + crown + circle(-7, -62, 13, lit), x, y, size)

    def grove(self, kind: str, line: Line, count: int, size: float, *, tone: float = 0.3) -> None:
        """Plant trees along a ridge, here and there."""
        for _ in range(count):
            x = self.chance.uniform(0, WIDTH)
            self.tree(kind, x, line(x) + 4, size * self.chance.uniform(0.75, 1.2), tone=tone)

    def house(self, x: float, y: float, size: float, *, wall: str, roof: str, glow: str) -> None:
        """Build a small house with a pitched roof, door and window."""
        shade = mix(wall, "#000000", 0.14)
        front = rect(-30, -34, 60, 36, wall) + rect(10, -34, 20, 36, shade)
        top = polygon(((-37, -33), (-22, -58), (24, -58), (38, -33)), roof)
        door = rect(14, -24, 12, 26, mix(roof, "#000000", 0.25))
        self.stamp(front + top + rect(-22, -24, 14, 13, glow) + door, x, y, size)

    def grass(self, count: int = 20, top: float = 540) -> None:
        """Let grass stand in the foreground."""
        tuft = stroke("M0 0q-2 -12 -8 -18M0 0q0 -14 1 -22M0 0q3 -10 9 -16", self.palette.deep, 2.2)
        for _ in range(count):
            y = self.chance.uniform(top, 604)
            self.stamp(tuft, self.chance.uniform(0, WIDTH), y, self.chance.uniform(0.8, 1.3))

    def steam(self, x: float, y: float, puffs: int, size: float, lean: float) -> None:
        """Let white vapour rise and widen."""
        shapes = ""
        for i in range(puffs):
            r = size * (1 + i * 0.62)
            drift = lean * i * i + self.chance.uniform(-0.4, 0.4) * size
            shapes += circle(x + drift, y - i * size * 2.1, r, "#fff")
        self.add(f'<g opacity=".68">{shapes}</g>')

    def skyline(self, base: float, colour: str, *, lit: str = "") -> None:
        """Draw a town on the horizon, with ``lit`` windows if it is evening."""
        chance = self.chance
        x = -10.0
        windows = ""
        shapes = ""
        while x < WIDTH:
            w, h = chance.uniform(26, 58), chance.uniform(24, 118)
            shapes += f"M{n(x)} {n(base + 30)}V{n(base - h)}h{n(w)}V{n(base + 30)}Z"
            if lit:
                for row in range(int(h // 18)):
                    for column in range(int(w // 13)):
                        if chance.random() < 0.38:
                            windows += (
                                f"M{x + 6 + column * 12:.0f} {base - h + 10 + row * 17:.0f}h5v7h-5Z"
                            )
            x += w + chance.choice((0, 0, 4, 16))
        self.add(path(shapes, colour))
        if windows:
            self.add(path(windows, lit, 'opacity=".85"'))

    def svg(self) -> str:
        """Return the finished picture."""
        turn = f' transform="matrix(-1 0 0 1 {WIDTH} 0)"' if self.mirrored else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            f' width="{WIDTH}" height="{HEIGHT}"><defs>{"".join(self.defs)}</defs>'
            f'<g stroke-linecap="round" stroke-linejoin="round"{turn}>{"".join(self.parts)}</g></svg>\n'
        )
