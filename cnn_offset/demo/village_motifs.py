"""Second compositions, for activities that the usual one of their technology does not fit."""

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


def stream_hydro(scene: Scene) -> None:
    """A weir high on a slope, a pipe down to a turbine house, the stream beside it."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.4)
    scene.peaks(330, 190, snow=chance.random() < 0.6)
    scene.hill(scene.line(318, 18, 2), mix(p.far, p.mid, 0.6), p.mid)
    kind = chance.choice(("conifer", "round", "palm"))
    slope = "M0 170C120 180 190 250 300 330C420 415 560 440 800 452V600H0Z"
    scene.add(path(slope, scene.gradient(p.near, p.ground)))
    ridge = "M0 170C120 180 190 250 300 330C420 415 560 440 800 452L800 470C560 462 400 440 280 352C180 276 110 206 0 200Z"
    scene.add(path(ridge, mix(p.near, p.light, 0.18)))
    for _ in range(9):
        x = chance.uniform(330, 790)
        scene.tree(kind, x, 452 - (800 - x) * 0.06, chance.uniform(0.4, 0.65), tone=0.45)
    foam = mix(p.water, "#ffffff", 0.62)
    stream = "M60 232C110 250 96 300 140 330C190 362 150 404 210 440C270 478 330 500 420 524C520 548 560 570 580 600H330C330 570 300 552 240 528C150 494 116 450 110 414C104 380 84 372 66 340C46 306 52 262 34 236Z"
    scene.add(path(stream, scene.gradient(foam, p.water)))
    for x, y, w in ((58, 262, 26), (84, 318, 34), (116, 372, 40), (142, 430, 48), (236, 492, 66)):
        scene.add(rect(x, y, w, 4, "#ffffff", 2), rect(x + 8, y + 9, w * 0.6, 3, "#ffffff", 1.5))
    wall = mix(p.light, p.far, 0.45)
    scene.add(rect(14, 214, 104, 26, wall, 4), rect(14, 214, 104, 8, p.light, 4))
    scene.add(rect(46, 224, 34, 16, foam))
    pipe = "M112 230C190 262 250 330 330 380S500 452 566 478"
    scene.add(
        stroke(pipe, mix(p.deep, p.light, 0.2), 15), stroke(pipe, mix(p.light, p.far, 0.15), 9)
    )
    posts = "M180 276v26M250 328v26M330 384v24M420 428v24M500 456v24"
    scene.add(stroke(posts, p.deep, 5))
    x, y = 560, 516
    stone = mix(p.light, p.haze, 0.3)
    scene.add(ellipse(x + 86, y + 4, 120, 12, p.deep, 'opacity=".3"'))
    scene.add(
        rect(x, y - 62, 170, 66, stone), rect(x + 112, y - 62, 58, 66, mix(stone, p.far, 0.5))
    )
    scene.add(
        polygon(
            ((x - 12, y - 60), (x + 26, y - 96), (x + 144, y - 96), (x + 182, y - 60)), p.accent
        )
    )
    for i in range(3):
        scene.add(rect(x + 14 + i * 32, y - 46, 20, 24, mix(p.sky, p.deep, 0.4), 2))
    scene.add(rect(x + 128, y - 40, 26, 44, mix(p.accent, p.deep, 0.4), 2))
    scene.add(stroke(f"M{x + 176} {y - 4}V{y - 150}M{x + 158} {y - 138}h36", p.deep, 5))
    scene.add(
        stroke(
            f"M{x + 160} {y - 136}Q720 430 805 {n(y - 170)}M{x + 192} {y - 136}Q770 420 805 {n(y - 150)}",
            p.deep,
            1.6,
        )
    )
    for _ in range(9):
        sx, sy = chance.uniform(230, 620), chance.uniform(556, 598)
        scene.add(
            ellipse(sx, sy, chance.uniform(14, 30), chance.uniform(8, 13), mix(p.far, p.deep, 0.4))
        )
    for x, y, size in ((40, 560, 1.5), (118, 590, 1.7), (700, 590, 1.5), (770, 566, 1.3)):
        scene.tree(kind, x, y, size, tone=0.1)
    scene.grass(12, 570)


def rooftop_solar(scene: Scene) -> None:
    """Houses with a few panels on each roof."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.45)
    middle, _ = scene.land(330)
    kind = chance.choice(("palm", "round"))
    scene.grove(kind, middle, 11, 0.6, tone=0.5)
    scene.hill(scene.line(430, 8, 1), mix(p.near, p.ground, 0.4), p.ground)
    for x, y, size in ((40, 442, 0.62), (330, 438, 0.58), (560, 444, 0.66)):
        _sunny_house(scene, x + chance.uniform(-20, 20), y, size)
    scene.tree(kind, chance.uniform(250, 320), 480, 1.3, tone=0.25)
    for x, y, size in ((60, 560, 1.12), (420, 572, 1.22)):
        _sunny_house(scene, x + chance.uniform(-30, 30), y, size)
    scene.hill(scene.line(572, 5, 1), mix(p.ground, p.accent, 0.15), p.deep)
    scene.tree(kind, chance.choice((360, 760)), 585, 2, tone=0.08)
    scene.grass(14, 585)


def _sunny_house(scene: Scene, x: float, y: float, size: float) -> None:
    p, chance = scene.palette, scene.chance
    wall = mix(chance.choice((p.accent, p.water, p.light)), p.haze, 0.45)
    roof = mix(p.accent, p.deep, chance.choice((0.1, 0.4)))
    body = rect(0, -100, 250, 104, wall) + rect(180, -100, 70, 104, mix(wall, "#000000", 0.12))
    top = path("M-20 -98L34 -182H222L272 -98Z", roof)
    panels = grid = ""
    for i in range(3):
        panels += path(f"M{52 + i * 52} -170h44l-8 56h-48Z", "#24527c")
        grid += f"M{73 + i * 52} -170l-6 56M{49 + i * 52} -142h47"
    lines = stroke(grid, p.light, 2, 'opacity=".6"')
    glass = mix(p.sky, p.deep, 0.45)
    front = rect(22, -72, 38, 36, glass, 3) + rect(118, -72, 38, 36, glass, 3)
    front += rect(76, -68, 28, 72, mix(roof, p.deep, 0.4), 3)
    front += stroke("M41 -72v36M137 -72v36M22 -54h38M118 -54h38", p.light, 3)
    scene.stamp(body + top + panels + lines + front, x, y, size)


def brick_kilns(scene: Scene) -> None:
    """A rebuilt kiln with its arches, bricks stacked to dry in front."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.5)
    middle, _ = scene.land(350)
    scene.grove(chance.choice(("palm", "round")), middle, 10, 0.55, tone=0.55)
    scene.hill(lambda _: 446, mix(p.near, p.accent, 0.3), mix(p.ground, p.accent, 0.35))
    x, clay = chance.uniform(130, 200), mix(p.accent, "#8a4b2d", 0.45)
    dark = mix(clay, p.deep, 0.5)
    scene.steam(x + 256, 92, 3, 10, 5)
    scene.add(
        polygon(
            ((x + 226, 360), (x + 240, 110), (x + 272, 110), (x + 286, 360)),
            scene.gradient(mix(clay, p.haze, 0.3), clay),
        )
    )
    scene.add(rect(x + 236, 104, 40, 12, dark, 3), rect(x + 238, 150, 36, 8, p.light, 2))
    body = f"M{n(x)} 470V372q0 -26 40 -26H{n(x + 472)}q40 0 40 26V470Z"
    scene.add(path(body, scene.gradient(mix(clay, p.haze, 0.35), clay)))
    scene.add(stroke(f"M{n(x + 8)} 366H{n(x + 504)}", dark, 6))
    for i in range(7):
        ax = x + 26 + i * 70
        scene.add(path(f"M{n(ax)} 470v-42a21 24 0 0 1 42 0v42Z", dark))
        if i % 3 == chance.choice((0, 1)):
            scene.add(
                ellipse(ax + 21, 464, 15, 9, "#f08a3c"), ellipse(ax + 21, 466, 8, 5, "#fbd27a")
            )
    pile = ""
    for row in range(4):
        for column in range(5 - row):
            shade = mix(clay, p.haze, 0.15 + 0.12 * ((row + column) % 3))
            pile += rect(column * 32 + row * 16, -row * 17, 29, 14, shade, 2)
    for px, py, size in (
        (30, 520, 0.85),
        (250, 516, 0.85),
        (470, 520, 0.85),
        (640, 524, 0.9),
        (110, 580, 1.2),
        (380, 576, 1.2),
        (600, 586, 1.25),
    ):
        scene.stamp(pile, px + chance.uniform(-15, 15), py, size)
    scene.grass(8, 590)


def warm_gers(scene: Scene) -> None:
    """Felt tents on a winter steppe, a thread of steam over each."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.45, stars=True)
    scene.peaks(330, 120, snow=True)
    snow = mix(p.haze, "#ffffff", 0.45)
    scene.hill(scene.line(322, 18, 2), mix(snow, p.far, 0.6), mix(snow, p.far, 0.4))
    scene.hill(scene.line(372, 14, 1.5), mix(snow, p.far, 0.4), mix(snow, p.far, 0.2))
    places = (
        (120, 430, 0.6),
        (330, 420, 0.55),
        (560, 428, 0.62),
        (720, 424, 0.5),
        (200, 540, 1.25),
        (560, 552, 1.35),
    )
    for i, (x, y, size) in enumerate(places):
        if i == 4:
            scene.hill(scene.line(458, 12, 1.2), mix(snow, p.water, 0.25), snow)
        _ger(scene, x + chance.uniform(-24, 24), y, size)
    fence = "".join(f"M{x} 596v-34" for x in range(10, WIDTH, 44))
    scene.add(stroke(f"{fence}M-5 572H805M-5 586H805", mix(p.deep, p.accent, 0.3), 5))


def _ger(scene: Scene, x: float, y: float, size: float) -> None:
    p, chance = scene.palette, scene.chance
    felt = mix(p.light, "#ffffff", 0.4)
    shade = mix(felt, p.far, 0.24)
    paint = chance.choice((p.accent, mix(p.accent, "#a03020", 0.5)))
    scene.steam(x + 20 * size, y - 128 * size, 4, 6 * size, 1.4)
    pipe = rect(14, -128, 10, 36, mix(p.deep, p.far, 0.3), 2)
    roof = path("M-104 -58Q-40 -112 0 -112T104 -58Z", felt) + path(
        "M20 -110Q60 -100 104 -58H36Z", shade
    )
    wall = rect(-98, -60, 196, 64, felt, 8) + rect(40, -60, 58, 64, shade, 8)
    band = stroke("M-98 -52H98M-98 -18H98", paint, 5) + stroke(
        "M-100 -58H100", mix(paint, p.deep, 0.3), 3
    )
    door = rect(-24, -50, 42, 54, paint, 3) + stroke("M-3 -48v50", mix(paint, p.deep, 0.4), 2)
    window = circle(68, -36, 9, "#ffd98a")
    shadow = ellipse(0, 6, 116, 9, p.deep, 'opacity=".22"')
    scene.stamp(shadow + pipe + roof + wall + band + door + window, x, y, size)
