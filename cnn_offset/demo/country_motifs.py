"""Demo pictures of the technologies of farms, forests, homes and villages: one composition each."""

from __future__ import annotations

from cnn_offset.demo.scenery import (
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


def landfill_gas(scene: Scene) -> None:
    """A grassed-over landfill with its wells, and the engine that burns the gas."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.5)
    scene.skyline(356, mix(p.far, p.haze, 0.25))
    scene.hill(scene.line(352, 10, 2), p.mid, p.near)
    cx = chance.uniform(300, 430)
    for i, (top, half) in enumerate(((268, 300), (336, 400), (404, 520))):
        tone = mix(p.mid, p.near, 0.25 + i * 0.32)
        d = f"M{n(cx - half)} 520C{n(cx - half * 0.8)} {top + 20} {n(cx - half * 0.55)} {top} {n(cx)} {top}S{n(cx + half * 0.8)} {top + 20} {n(cx + half)} 520V600H{n(cx - half)}Z"
        scene.add(path(d, scene.gradient(tone, mix(tone, p.ground, 0.4))))
        d = f"M{n(cx - half * 0.62)} {top + 34}Q{n(cx)} {top - 6} {n(cx + half * 0.62)} {top + 34}"
        scene.add(stroke(d, mix(p.light, p.far, 0.2), 4 + i))
        for j in range(4):
            x = cx + (j - 1.5) * half * 0.36
            y = top + 10 + abs(j - 1.5) * 8
            well = rect(-4, -34, 8, 36, p.light, 3) + rect(-9, -40, 18, 9, p.accent, 3)
            scene.stamp(well, x, y, 0.75 + i * 0.2)
    x, y = chance.uniform(500, 600), 540
    share = (x + 60 - cx) / (520 * 0.62)
    scene.add(
        stroke(f"M{n(x + 60)} {n(418 + 20 * share * share)}V{y - 60}", mix(p.light, p.far, 0.2), 7)
    )
    scene.hill(scene.line(505, 8, 1), p.ground, p.deep)
    scene.add(
        rect(x, y - 74, 150, 76, p.accent, 3),
        rect(x, y - 74, 150, 14, mix(p.accent, "#000000", 0.2), 3),
    )
    for i in range(7):
        scene.add(rect(x + 12 + i * 13, y - 48, 7, 30, mix(p.accent, "#000000", 0.28), 2))
    scene.add(rect(x + 112, y - 50, 26, 52, mix(p.light, p.far, 0.3), 2))
    scene.add(
        rect(x + 20, y - 118, 12, 46, mix(p.light, p.deep, 0.4), 3),
        rect(x + 46, y - 108, 12, 36, mix(p.light, p.deep, 0.4), 3),
    )
    for _ in range(5):
        tree_x = chance.uniform(10, x - 60)
        scene.tree("round", tree_x, chance.uniform(555, 580), chance.uniform(0.75, 1.1), tone=0.15)
    scene.grass()


def cookstoves(scene: Scene) -> None:
    """A kitchen: an improved stove, a pot that steams, a window on the hills."""
    p, chance = scene.palette, scene.chance
    wall = mix(p.accent, p.haze, chance.uniform(0.62, 0.8))
    scene.add(
        f'<rect width="800" height="600" fill="{scene.gradient(mix(wall, p.light, 0.35), wall)}"/>'
    )
    wx, wy = chance.uniform(60, 110), chance.uniform(84, 120)
    scene.add(rect(wx - 14, wy - 14, 268, 218, mix(p.accent, "#4a2f1d", 0.55), 4))
    scene.add(rect(wx, wy, 240, 190, scene.gradient(p.sky, p.haze)))
    scene.add(circle(wx + chance.uniform(50, 190), wy + 52, 22, p.sun))
    for tone, base, up in ((p.far, 120, 46), (p.mid, 140, 34), (p.near, 164, 26)):
        shift = chance.uniform(0, 40)
        d = f"M{n(wx)} {n(wy + base)}Q{n(wx + 50 + shift)} {n(wy + base - up)} {n(wx + 120)} {n(wy + base - 4)}T{n(wx + 240)} {n(wy + base - up / 2)}V{n(wy + 190)}H{n(wx)}Z"
        scene.add(path(d, tone))
    scene.add(
        stroke(
            f"M{n(wx + 120)} {n(wy)}v190M{n(wx)} {n(wy + 95)}h240",
            mix(p.accent, "#4a2f1d", 0.55),
            6,
        )
    )
    shelf = 190 + chance.uniform(-10, 20)
    scene.add(rect(440, shelf, 310, 12, mix(p.accent, "#4a2f1d", 0.5), 3))
    x = 458.0
    while x < 716:
        w = chance.uniform(26, 46)
        colour = chance.choice((p.accent, p.near, p.light, p.water, mix(p.accent, p.deep, 0.4)))
        if chance.random() < 0.5:
            scene.add(
                path(
                    f"M{n(x)} {n(shelf - 24)}h{n(w)}q0 24 -{n(w * 0.3)} 24h-{n(w * 0.4)}q-{n(w * 0.3)} 0 -{n(w * 0.3)} -24Z",
                    colour,
                )
            )
        else:
            h = chance.uniform(40, 66)
            scene.add(
                rect(x, shelf - h, w * 0.8, h, colour, 6),
                rect(x + w * 0.1, shelf - h - 8, w * 0.6, 10, mix(colour, p.deep, 0.4), 3),
            )
        x += w + 14
    for i in range(chance.choice((2, 3))):
        hx = 490 + i * 74
        spoon = stroke(f"M{hx} {n(shelf + 12)}v44", mix(p.accent, "#4a2f1d", 0.7), 5) + ellipse(
            hx, shelf + 70, 11, 16, mix(p.accent, "#4a2f1d", 0.6)
        )
        scene.add(spoon)
    floor = mix(p.accent, "#6b4a32", 0.55)
    scene.add(
        rect(0, 486, WIDTH, 114, scene.gradient(mix(floor, p.haze, 0.25), mix(floor, p.deep, 0.3)))
    )
    cx = chance.uniform(420, 500)
    _stove(scene, cx)
    logs = mix(p.accent, "#5b3a22", 0.7)
    lx = cx - 250
    end = "".join(
        circle(0, 0, r, colour)
        for r, colour in ((20, logs), (13, mix(logs, p.haze, 0.45)), (5, mix(logs, p.haze, 0.15)))
    )
    for column, row in ((0, 0), (1, 0), (2, 0), (0.5, 1), (1.5, 1), (1, 2)):
        scene.stamp(end, lx + column * 40, 532 - row * 34, 1)


def _stove(scene: Scene, cx: float) -> None:
    p, chance = scene.palette, scene.chance
    clay = mix(p.accent, "#8a4b2d", chance.uniform(0.2, 0.6))
    for i in range(5):
        sway = 18 * (-1) ** i
        steam = f"M{n(cx - 36 + i * 18)} 292q{sway} -24 0 -48t0 -{n(30 + i % 3 * 16)}"
        scene.add(stroke(steam, "#fff", 7, 'opacity=".55"'))
    scene.add(ellipse(cx, 548, 150, 16, p.deep, 'opacity=".3"'))
    if chance.random() < 0.5:
        body = f"M{n(cx - 92)} 410H{n(cx + 92)}L{n(cx + 116)} 548H{n(cx - 116)}Z"
    else:
        body = f"M{n(cx - 100)} 410H{n(cx + 100)}C{n(cx + 128)} 450 {n(cx + 104)} 520 {n(cx + 84)} 548H{n(cx - 84)}C{n(cx - 104)} 520 {n(cx - 128)} 450 {n(cx - 100)} 410Z"
    scene.add(path(body, scene.gradient(mix(clay, p.haze, 0.25), mix(clay, p.deep, 0.25))))
    band = mix(p.light, p.accent, 0.3)
    scene.add(stroke(f"M{n(cx - 98)} 434H{n(cx + 98)}", band, 5, 'opacity=".7"'))
    scene.add(path(f"M{n(cx - 44)} 548v-46a44 40 0 0 1 88 0v46Z", mix(p.deep, "#2a1710", 0.6)))
    for w, h, colour in ((30, 52, "#e8672c"), (20, 38, "#f6a53a"), (10, 24, "#fde08a")):
        flame = f"M{n(cx - w)} 546q-{n(w * 0.3)} -{n(h * 0.5)} {n(w * 0.6)} -{n(h * 0.7)}q{n(w * 0.2)} -{n(h * 0.2)} {n(w * 0.3)} -{n(h * 0.4)}q{n(w * 1.3)} {n(h * 0.5)} {n(w)} {n(h * 1.1)}Z"
        scene.add(path(flame, colour))
    iron = mix(p.deep, "#20262a", 0.6)
    scene.add(rect(cx - 106, 396, 212, 18, iron, 6))
    pot = f"M{n(cx - 84)} 318H{n(cx + 84)}V360q0 38 -40 38H{n(cx - 44)}q-40 0 -40 -38Z"
    scene.add(path(pot, scene.gradient(mix(iron, p.light, 0.35), iron)))
    scene.add(rect(cx - 94, 308, 188, 14, mix(iron, p.light, 0.5), 6))
    scene.add(stroke(f"M{n(cx - 84)} 342h-18M{n(cx + 84)} 342h18", iron, 9))


def methane_avoidance(scene: Scene) -> None:
    """Biogas domes beside a farm, with cattle on the meadow."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.5)
    middle, _ = scene.land(335)
    kind = chance.choice(("palm", "round", "acacia"))
    scene.grove(kind, middle, 9, 0.55, tone=0.5)
    yard = scene.hill(scene.line(440, 8, 1), p.near, p.ground)
    bx = chance.uniform(500, 560)
    scene.add(rect(bx, 352, 190, 104, mix(p.accent, "#8a4b2d", 0.3)))
    scene.add(
        polygon(
            ((bx - 14, 356), (bx + 40, 298), (bx + 150, 298), (bx + 204, 356)),
            mix(p.deep, p.accent, 0.25),
        )
    )
    scene.add(
        rect(bx + 66, 392, 58, 64, p.light),
        stroke(f"M{n(bx + 68)} 394l54 60m0 -60l-54 60", p.accent, 4),
    )
    cover = mix(p.light, p.water, chance.uniform(0.15, 0.6))
    count = chance.choice((2, 3))
    for i in range(count):
        x, r = 110 + i * 142 + chance.uniform(-10, 10), 62
        y = yard(x) + 30
        pipe = 46 if i + 1 < count else bx - x - r
        scene.add(
            path(
                f"M{n(x - r)} {n(y - 42)}a{r} 54 0 0 1 {2 * r} 0Z",
                scene.gradient(mix(cover, "#ffffff", 0.4), cover),
            )
        )
        scene.add(
            stroke(
                f"M{n(x)} {n(y - 95)}C{n(x - 22)} {n(y - 84)} {n(x - 26)} {n(y - 60)} {n(x - 26)} {n(y - 43)}M{n(x)} {n(y - 95)}C{n(x + 22)} {n(y - 84)} {n(x + 26)} {n(y - 60)} {n(x + 26)} {n(y - 43)}",
                mix(cover, p.far, 0.6),
                2,
            )
        )
        tank = mix(p.mid, p.light, 0.35)
        scene.add(rect(x - r, y - 44, 2 * r, 46, scene.gradient(tank, mix(tank, p.deep, 0.3)), 3))
        scene.add(stroke(f"M{n(x + r)} {n(y - 14)}h{n(pipe)}", p.accent, 7))
    scene.hill(scene.line(508, 8, 1), mix(p.ground, p.near, 0.5), p.ground)
    rails = "".join(f"M{x} 540v-34" for x in range(20, 800, 76))
    scene.add(stroke(rails + "M-5 515H805M-5 528H805", mix(p.light, p.ground, 0.25), 4))
    for place in chance.sample((110, 260, 420, 570, 700), chance.choice((3, 4))):
        y = chance.uniform(562, 592)
        _cow(scene, place + chance.uniform(-30, 30), y, 0.9 + (y - 562) / 100)
    scene.grass(16, 580)


def _cow(scene: Scene, x: float, y: float, size: float) -> None:
    p, chance = scene.palette, scene.chance
    hide = chance.choice((p.light, mix(p.accent, "#5b3a22", 0.5)))
    spot = mix(hide, "#3b302b" if hide == p.light else p.light, 0.75)
    legs = stroke("M-24 -14V2M-15 -14V2M15 -14V2M24 -14V2", mix(hide, "#000000", 0.2), 6)
    body = (
        rect(-32, -42, 64, 32, hide, 13) + ellipse(-8, -30, 12, 8, spot) + circle(18, -34, 6, spot)
    )
    head = path("M28 -46l16 -4q8 0 9 8l3 14q0 6 -7 6h-6q-12 -4 -15 -24Z", hide) + ellipse(
        52, -25, 6, 5, spot
    )
    horn = stroke("M36 -49q-3 -8 2 -11", p.light, 3) + stroke("M-32 -36q-7 8 -5 22", hide, 3)
    scene.stamp(legs + body + head + horn, x, y, size, flip=chance.random() < 0.5)


def reforestation(scene: Scene) -> None:
    """Seedlings in rows in front, the grown forest behind."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.55)
    if chance.random() < 0.6:
        scene.peaks(320, 140)
    middle, nearer = scene.land(300)
    kind = chance.choice(("round", "conifer", "round"))
    for line, count, size, tone in ((middle, 25, 0.68, 0.72), (nearer, 21, 1.05, 0.42)):
        for i in range(count):
            x = (i + chance.random()) * WIDTH / count
            scene.tree(kind, x, line(x) + 10, size * chance.uniform(0.8, 1.25), tone=tone)
    soil = mix(p.accent, "#6b4a32", 0.6)
    front = scene.hill(scene.line(436, 10, 1), mix(soil, p.near, 0.55), mix(soil, p.ground, 0.3))
    vanish = chance.uniform(250, 550)
    for i in range(-8, 9):
        x0, x1 = vanish + i * 58, vanish + i * 165
        top = front(min(max(x0, 0), 800)) + 3
        scene.add(
            stroke(f"M{n(x0)} {n(top)}L{n(x1)} 604", mix(soil, p.deep, 0.35), 5, 'opacity=".35"')
        )
        for share in (0.1, 0.3, 0.6, 0.97):
            x, y = x0 + (x1 - x0) * share, top + (600 - top) * share
            if -20 < x < 820:
                _seedling(scene, x, y, 0.35 + share * 1.15)


def _seedling(scene: Scene, x: float, y: float, size: float) -> None:
    p = scene.palette
    leaf = mix(p.near, "#7fb24a", scene.chance.choice((0.15, 0.4)))
    d = "M0 -12C-4 -26 -18 -26 -22 -22C-18 -12 -8 -10 0 -12C4 -28 18 -30 23 -26C20 -14 8 -10 0 -12C-5 -24 -2 -36 1 -42C7 -34 6 -22 0 -12Z"
    scene.stamp(stroke("M0 2V-16", mix(leaf, p.deep, 0.4), 3) + path(d, leaf), x, y, size)


def water(scene: Scene) -> None:
    """A raised tank, a solar pump and a tap stand in a village."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.5)
    middle, _ = scene.land(345)
    kind = chance.choice(("acacia", "palm", "round"))
    scene.grove(kind, middle, 8, 0.5, tone=0.55)
    yard = scene.hill(
        scene.line(452, 10, 1), mix(p.near, p.accent, 0.18), mix(p.ground, p.accent, 0.15)
    )
    for _ in range(3):
        hx = chance.uniform(430, 740)
        scene.house(
            hx,
            yard(hx) + 8,
            chance.uniform(0.9, 1.15),
            wall=mix(p.accent, p.haze, chance.uniform(0.4, 0.75)),
            roof=mix(p.deep, p.accent, chance.uniform(0.1, 0.5)),
            glow=p.deep,
        )
    tx, ty = chance.uniform(170, 260), 500
    frame = f"M{n(tx - 62)} {ty}L{n(tx - 46)} 300M{n(tx + 62)} {ty}L{n(tx + 46)} 300M{n(tx - 56)} 430L{n(tx + 49)} 350M{n(tx + 56)} 430L{n(tx - 49)} 350M{n(tx - 58)} 440H{n(tx + 58)}M{n(tx - 50)} 350H{n(tx + 50)}"
    scene.add(stroke(frame, mix(p.deep, p.accent, 0.15), 6))
    tank = mix(p.water, p.light, 0.15)
    scene.add(
        rect(
            tx - 64,
            190,
            128,
            112,
            scene.gradient(mix(tank, "#ffffff", 0.3), mix(tank, p.deep, 0.25)),
            10,
        )
    )
    scene.add(path(f"M{n(tx - 62)} 194a62 26 0 0 1 124 0Z", mix(tank, p.deep, 0.2)))
    scene.add(stroke(f"M{n(tx - 63)} 226h126M{n(tx - 63)} 262h126", mix(tank, p.deep, 0.3), 3))
    drop = f"M{n(tx)} 218c14 20 22 28 22 40a22 22 0 0 1 -44 0c0 -12 8 -20 22 -40Z"
    scene.add(path(drop, p.light, 'opacity=".9"'))
    px = tx + 108
    scene.add(stroke(f"M{n(px + 40)} 478v44M{n(px + 92)} 478v44", p.deep, 5))
    scene.add(path(f"M{n(px + 18)} 430h104l-14 56h-104Z", "#24527c"))
    grid = f"M{n(px + 44)} 430l-14 56M{n(px + 70)} 430l-14 56M{n(px + 96)} 430l-14 56M{n(px + 11)} 458h104"
    scene.add(stroke(grid, p.light, 1.8, 'opacity=".6"'))
    scene.hill(scene.line(520, 6, 1), mix(p.ground, p.accent, 0.2), p.deep)
    sx, sy = chance.uniform(470, 600), 566
    scene.add(ellipse(sx + 20, sy + 6, 130, 14, p.deep, 'opacity=".3"'))
    scene.add(
        rect(sx - 12, sy - 92, 24, 96, mix(p.light, p.far, 0.35), 4),
        rect(sx - 60, sy - 10, 130, 14, mix(p.light, p.far, 0.5), 3),
    )
    scene.add(
        stroke(f"M{n(sx + 8)} {sy - 78}h36v12", p.deep, 8),
        stroke(f"M{n(sx + 44)} {sy - 62}v28", "#d9f1f6", 5),
    )
    for i, colour in enumerate(chance.sample(("#e5b53b", p.accent, p.water, p.light), 3)):
        jx = (sx + 44, sx - 84, sx - 134)[i]
        can = rect(-17, -36, 34, 38, colour, 6) + stroke(
            "M-8 -36v-8h16v8", mix(colour, p.deep, 0.35), 4
        )
        scene.stamp(can, jx, sy - 2 + i * 4, 1.05)
    scene.tree(kind, 735, 572, 1.7, tone=0.08)
    scene.grass(18, 576)
