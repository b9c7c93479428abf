"""Demo pictures of the technologies that make power: one composition each."""

from __future__ import annotations

import math

from cnn_offset.demo.scenery import (
    HEIGHT,
    WIDTH,
    Scene,
    circle,
    ellipse,
    mix,
    n,
    path,
    polygon,
    rect,
    stroke,
)


def wind(scene: Scene) -> None:
    """Turbines walking over hills, the nearest one large."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.55)
    if chance.random() < 0.5:
        scene.peaks(330, 130)
    middle, nearer = scene.land(345)
    kind = chance.choice(("round", "acacia", "conifer"))
    scene.grove(kind, middle, 7, 0.35, tone=0.75)
    for place in sorted(chance.sample(range(60, 760, 75), 4)):
        _turbine(scene, place, middle(place) + 3, chance.uniform(0.5, 0.72), 0.3)
    front = scene.hill(scene.line(490, 22, 1), p.near, p.ground)
    for x in (chance.uniform(90, 220), chance.uniform(480, 700)):
        _turbine(scene, x, nearer(x) + 70, chance.uniform(1.25, 1.6), 0)
    scene.hill(lambda x: front(x) + 26, p.ground, p.deep)
    scene.grove(kind, lambda x: front(x) + 34, 6, 0.75, tone=0.12)
    scene.grass()


def _turbine(scene: Scene, x: float, y: float, size: float, haze: float) -> None:
    p = scene.palette
    white = mix(p.light, p.haze, haze)
    shade = mix(white, p.far, 0.55)
    turn = scene.chance.choice((10, 37, 64, 95))
    blade = "M-3 -4C-8 -22 -4 -70 0 -88C3 -66 5 -24 3 -4Z"
    blades = "".join(
        f'<path d="{blade}" fill="{white}" transform="rotate({turn + a})"/>' for a in (0, 120, 240)
    )
    tower = polygon(((-5, 2), (-2.4, -170), (2.4, -170), (5, 2)), white)
    side = polygon(((0.5, 2), (0.5, -170), (2.4, -170), (5, 2)), shade)
    head = rect(-4, -175, 15, 8, shade, 3)
    rotor = f'<g transform="translate(0 -171)">{blades}{circle(0, 0, 5.5, white)}</g>'
    scene.stamp(tower + side + head + rotor, x, y, size)


def hydro(scene: Scene) -> None:
    """A lake behind an arched dam, the river coming towards us."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.4)
    scene.peaks(320, 190, snow=chance.random() < 0.6)
    scene.hill(scene.line(292, 14, 2), mix(p.far, p.mid, 0.5), p.mid)
    left, right = chance.uniform(170, 220), chance.uniform(560, 620)
    scene.add(rect(0, 318, WIDTH, 50, scene.gradient(mix(p.water, p.light, 0.35), p.water)))
    for _ in range(6):
        x, y = chance.uniform(left, right - 80), chance.uniform(324, 340)
        scene.add(rect(x, y, chance.uniform(30, 80), 2, p.light, 1))
    wall, shade = mix(p.light, p.far, 0.55), mix(p.far, p.deep, 0.3)
    foot = 478
    concrete = scene.gradient(wall, shade)
    scene.add(
        path(
            f"M{n(left)} 342Q400 366 {n(right)} 342L{n(right - 95)} {foot}Q400 492 {n(left + 95)} {foot}Z",
            concrete,
        )
    )
    for i in range(7):
        top = left + (right - left) * (i + 0.5) / 7
        foot_x = left + 95 + (right - left - 190) * (i + 0.5) / 7
        scene.add(stroke(f"M{n(top)} 352L{n(foot_x)} 484", shade, 2.5, 'opacity=".5"'))
    gates = chance.choice((3, 4, 5))
    for i in range(gates):
        x = 400 + (i - (gates - 1) / 2) * 42
        fall = scene.gradient("#ffffff", mix(p.water, "#ffffff", 0.6))
        scene.add(path(f"M{n(x - 9)} 357h18L{n(x + 13)} 488h-26Z", fall, 'opacity=".9"'))
        scene.add(rect(x + 15, 349, 8, 22, shade, 2))
    scene.add(stroke(f"M{n(left - 4)} 341Q400 365 {n(right + 4)} 341", p.light, 6))
    flow = scene.gradient(mix(p.water, "#ffffff", 0.45), mix(p.water, p.deep, 0.18))
    bend = chance.uniform(-90, 90)
    scene.hill(lambda x: 484 + 0.02 * abs(x - 400), p.near, p.ground)
    scene.add(
        path(
            f"M312 484C320 520 {n(250 + bend)} 540 {n(190 + bend)} 600L{n(640 + bend)} 600"
            f"C{n(560 + bend)} 540 490 520 488 484Z",
            flow,
        )
    )
    for i in range(3):
        scene.add(ellipse(400 + (i - 1) * 60, 488, 46, 8, "#fff", 'opacity=".75"'))
    slopes = ((0, 250, left + 98, 486, 1), (WIDTH, 240, right - 98, 486, -1))
    for x, top, foot_x, foot_y, way in slopes:
        d = f"M{x} {top}C{n(x + way * 90)} {top + 16} {n(foot_x - way * 130)} 320 {n(foot_x - way * 92)} 350"
        d += f"L{n(foot_x)} {foot_y}C{n(foot_x - way * 30)} 530 {n(foot_x - way * 110)} 560 {n(foot_x - way * 130)} 600L{x} 600Z"
        scene.add(path(d, scene.gradient(p.near, p.ground)))
    kind = chance.choice(("conifer", "round"))
    for _ in range(16):
        side = chance.random() < 0.5
        x = chance.uniform(0, 150) if side else chance.uniform(660, 800)
        edge = x if side else WIDTH - x
        y = chance.uniform(300 + edge * 0.7, 560)
        scene.tree(kind, x, y, 0.35 + (y - 280) / 420, tone=max(0.05, 0.6 - (y - 280) / 400))
    scene.house(right - 60, 522, 0.8, wall=p.light, roof=p.accent, glow=p.deep)
    scene.grass(10, 575)


def solar(scene: Scene) -> None:
    """Rows of panels running to the horizon."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.5)
    if chance.random() < 0.5:
        scene.peaks(325, 110)
    middle, _ = scene.land(320)
    kind = chance.choice(("acacia", "palm", "round"))
    scene.grove(kind, middle, 8, 0.45, tone=0.6)
    scene.hill(lambda x: 372 + 6 * math.sin(x / 130), mix(p.ground, p.near, 0.7), p.ground)
    skew, gap = chance.uniform(0.1, 0.45), chance.choice((16, 26))
    top, low = mix(p.sky, "#1d4e79", 0.72), mix("#143a5e", p.deep, 0.25)
    glass = scene.gradient(mix(top, p.light, 0.25), low)
    lean = 62 * skew
    legs = stroke("M50 -14v48M200 -14v48", p.deep, 5)
    panel = path(f"M{n(lean)} -62h250L250 0H0Z", glass)
    lines = "".join(f"M{n(lean + 250 * i / 6)} -62L{n(250 * i / 6)} 0" for i in range(1, 6))
    grid = stroke(f"{lines}M{n(lean / 2)} -31h250", p.light, 1.8, 'opacity=".5"')
    y, size = 388.0, 0.34
    while y < 640:
        scene.add(rect(0, y + 34 * size, WIDTH, 13 * size, mix(p.ground, p.deep, 0.35)))
        x = -250 * size * (1 + chance.random())
        while x < WIDTH + 60:
            scene.stamp(legs + panel + grid, x, y, size)
            x += (250 + gap * 2) * size
        y += 92 * size
        size *= 1.36
    scene.grass(12, 590)


def biomass(scene: Scene) -> None:
    """A small power station among fields, straw or cane in front."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.45)
    middle, nearer = scene.land(350)
    scene.grove("round", middle, 12, 0.5, tone=0.55)
    x, y = chance.uniform(230, 420), 438
    wall, shade = mix(p.light, p.haze, 0.25), mix(p.light, p.far, 0.6)
    chimney = x + 190
    brick = mix(p.accent, p.far, 0.6)
    scene.steam(chimney + 4, 196, 4, 13, 6)
    scene.add(
        polygon(
            ((chimney - 9, y), (chimney - 6, 208), (chimney + 9, 208), (chimney + 12, y)), brick
        )
    )
    scene.add(rect(chimney - 8, 222, 18, 12, p.accent))
    scene.add(rect(x, y - 110, 170, 112, wall), rect(x + 118, y - 110, 52, 112, shade))
    scene.add(
        polygon(
            ((x - 8, y - 108), (x + 40, y - 146), (x + 132, y - 146), (x + 178, y - 108)), p.accent
        )
    )
    for i in range(5):
        scene.add(rect(x + 14 + i * 20, y - 84, 11, 26, mix(p.sky, p.deep, 0.35), 2))
    for i in range(chance.choice((2, 3))):
        sx = x - 62 - i * 58
        scene.add(rect(sx, y - 134, 50, 136, scene.gradient(shade, mix(shade, p.mid, 0.4))))
        scene.add(path(f"M{n(sx)} {n(y - 133)}a25 22 0 0 1 50 0Z", p.light))
        scene.add(
            stroke(
                f"M{n(sx + 2)} {n(y - 96)}h46M{n(sx + 2)} {n(y - 52)}h46",
                mix(shade, p.deep, 0.3),
                2,
            )
        )
    scene.add(stroke(f"M{n(x - 40)} {n(y - 156)}L{n(x + 50)} {n(y - 138)}", p.deep, 6))
    field = scene.hill(
        lambda v: nearer(v) * 0.35 + 290,
        mix(p.accent, "#e8c468", 0.72),
        mix(p.ground, "#b98f3e", 0.5),
    )
    for i in range(-3, 16):
        top = 400 + (i - 6) * 38
        furrow = f"M{n(top)} {n(field(min(max(top, 0), 800)) + 4)}L{n(400 + (i - 6) * 130)} 600"
        scene.add(stroke(furrow, p.ground, 2.5, 'opacity=".35"'))
    if chance.random() < 0.5:
        for i in range(6):
            bx, by = 70 + i * 130 + chance.uniform(-30, 30), chance.uniform(505, 570)
            r = 20 + (by - 480) / 6
            straw = mix("#e6c067", p.sun, 0.25)
            scene.add(ellipse(bx, by + r * 0.85, r * 1.5, r * 0.3, p.deep, 'opacity=".25"'))
            scene.add(
                rect(bx - r * 0.2, by - r, r * 1.3, 2 * r, mix(straw, p.ground, 0.3), r * 0.5)
            )
            scene.add(circle(bx, by, r, straw), circle(bx, by, r * 0.6, mix(straw, p.ground, 0.22)))
            scene.add(circle(bx, by, r * 0.25, straw))
    else:
        stem = "M0 0V-100M0 -100q-14 -4 -22 14M0 -78q16 -10 24 8M0 -52q-12 -8 -20 4"
        canes = tuple(stroke(stem, mix(p.deep, p.near, share), 4) for share in (0, 0.35, 0.7))
        for i in range(29):
            cx, cy = i * 29 + chance.uniform(-8, 8), chance.uniform(575, 620)
            scene.stamp(chance.choice(canes), cx, cy, chance.uniform(0.7, 1.15), flip=i % 2 == 0)
    scene.grass(8, 585)


def geothermal(scene: Scene) -> None:
    """Steam over wells, pipes with their loops, a quiet volcano behind."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.45)
    cx = chance.uniform(250, 560)
    flank = scene.gradient(mix(p.mid, p.far, 0.4), mix(p.far, p.haze, 0.4))
    scene.add(
        path(
            f"M{n(cx - 380)} 380C{n(cx - 190)} 320 {n(cx - 110)} 190 {n(cx - 52)} 130q26 14 52 8t56 -6C{n(cx + 120)} 200 {n(cx + 220)} 320 {n(cx + 400)} 380Z",
            flank,
        )
    )
    lit = f"M{n(cx + 56)} 132C{n(cx + 120)} 200 {n(cx + 220)} 320 {n(cx + 400)} 380H{n(cx + 130)}C{n(cx + 110)} 300 {n(cx + 60)} 220 {n(cx + 10)} 138q22 2 46 -6Z"
    scene.add(path(lit, p.mid, 'opacity=".45"'))
    middle, _ = scene.land(365)
    scene.grove(chance.choice(("conifer", "round", "acacia")), middle, 11, 0.45, tone=0.6)
    ground = scene.hill(scene.line(470, 10, 1), p.near, p.ground)
    for i, x in enumerate(sorted(chance.sample(range(70, 740, 110), 3))):
        base = ground(x) - 4
        scene.steam(
            x, base - 62, chance.choice((4, 5)), chance.uniform(14, 18), chance.uniform(1.5, 4)
        )
        size = 0.9 + i * 0.06
        head = rect(-13, -34, 26, 36, mix(p.light, p.far, 0.5), 3) + rect(
            -17, -40, 34, 9, p.deep, 3
        )
        scene.stamp(head + rect(-4, -56, 8, 18, p.accent, 2), x, base + 8, size)
    px = chance.uniform(330, 480)
    py = ground(px) + 42
    wall = mix(p.light, p.haze, 0.2)
    scene.add(
        rect(px, py - 78, 190, 80, wall), rect(px + 130, py - 78, 60, 80, mix(wall, p.far, 0.5))
    )
    scene.add(
        polygon(
            ((px - 8, py - 76), (px + 10, py - 98), (px + 180, py - 98), (px + 198, py - 76)),
            p.accent,
        )
    )
    for i in range(4):
        scene.add(rect(px + 14 + i * 28, py - 58, 17, 20, mix(p.sky, p.deep, 0.4), 2))
    scene.hill(scene.line(535, 8, 1), p.ground, p.deep)
    for dy, width, shift in ((-2, 14, 0), (34, 18, 150)):
        y = 528 + dy
        a, b = 130 + shift, 430 + shift
        d = f"M-10 {y}H{a}v-40h60v40H{b}v-40h60v40H810"
        scene.add(
            stroke(d, mix(p.light, p.deep, 0.45), width + 2),
            stroke(d, mix(p.light, p.far, 0.15), width - 3),
        )
        posts = "".join(f"M{x} {y + 8}v22" for x in (60, 300, 400, 620, 730))
        scene.add(stroke(posts, p.deep, 5))
    scene.grass(18, HEIGHT - 22)
