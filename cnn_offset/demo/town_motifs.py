"""Demo pictures of the technologies of towns and works: one composition each."""

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


def energy_efficiency(scene: Scene) -> None:
    """A town at dusk, lit by few watts."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.5, stars=True)
    scene.hill(scene.line(310, 30, 1.5), p.far, mix(p.far, p.haze, 0.4))
    scene.skyline(370, p.mid, lit=p.accent)
    scene.hill(scene.line(392, 12, 1.5), p.near, p.ground)
    for row, (y, size) in enumerate(((430, 0.8), (500, 1.25))):
        x = chance.uniform(-10, 40)
        while x < WIDTH + 20:
            other, glow = chance.choice(
                ((p.haze, p.accent), (p.light, p.light), (p.water, p.accent))
            )
            wall, roof = mix(p.far, other, 0.18 + 0.1 * row), mix(p.deep, other, 0.22)
            scene.house(x, y + chance.uniform(-6, 8), size, wall=wall, roof=roof, glow=glow)
            x += chance.uniform(84, 116) * size
            if chance.random() < 0.35:
                scene.tree("round", x - 46 * size, y + 4, size * 0.8, tone=0.1)
    scene.add(path("M0 534Q400 512 800 534V600H0Z", scene.gradient(p.ground, p.deep)))
    for x in range(90, 800, 205):
        lamp = x + chance.uniform(-16, 16)
        scene.add(
            polygon(
                ((lamp + 24, 462), (lamp - 34, 572), (lamp + 92, 572)), p.light, 'opacity=".13"'
            )
        )
        scene.add(
            stroke(f"M{n(lamp)} 572V452q0 -12 24 -10", p.deep, 5),
            ellipse(lamp + 27, 446, 12, 5, p.light),
        )
        scene.add(ellipse(lamp + 28, 573, 60, 8, p.light, 'opacity=".22"'))


def n2o(scene: Scene) -> None:
    """A chemical plant: columns, spheres, pipes and no plume."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.4)
    scene.land(370)
    steel = mix(p.light, p.far, 0.3)
    shade = mix(steel, p.deep, 0.35)
    metal = scene.gradient(mix(steel, "#ffffff", 0.3), shade)
    x = chance.uniform(60, 120)
    for i in range(chance.choice((4, 5))):
        w, h = chance.choice((34, 42, 54)), chance.uniform(150, 290)
        scene.add(
            rect(x, 480 - h, w, h + 6, metal, w / 2),
            rect(x + w * 0.62, 486 - h, w * 0.2, h - 14, shade, 4),
        )
        rings = "".join(f"M{n(x - 5)} {n(480 - h * f)}h{n(w + 10)}" for f in (0.3, 0.55, 0.8))
        scene.add(stroke(rings, p.accent if i % 2 else shade, 4))
        scene.add(stroke(f"M{n(x + w + 5)} 482V{n(494 - h * 0.8)}m8 0V482", p.deep, 1.6))
        x += w + chance.uniform(26, 44)
    for i in range(2):
        cx = min(x + 60 + i * 126, 740)
        legs = f"M{n(cx - 36)} 430v56M{n(cx + 36)} 430v56M{n(cx)} 440v46"
        scene.add(stroke(legs, shade, 6), circle(cx, 404, 52, metal))
        scene.add(
            stroke(f"M{n(cx - 51)} 406q51 16 102 0", shade, 3),
            ellipse(cx - 16, 382, 14, 9, "#fff", 'opacity=".5"'),
        )
    for dy, colour in ((0, p.accent), (14, p.light), (28, p.water)):
        d = f"M-5 {436 + dy}H{n(x - 20)}V{462 + dy}H805"
        scene.add(stroke(d, mix(colour, p.deep, 0.15), 6))
    scene.add(stroke("".join(f"M{i} 432v60" for i in range(20, 800, 130)), p.deep, 6))
    front = scene.hill(scene.line(500, 6, 1), p.near, p.ground)
    scene.grove(
        chance.choice(("round", "palm", "conifer")), lambda v: front(v) + 50, 9, 0.85, tone=0.12
    )
    scene.grass()


def transport(scene: Scene) -> None:
    """Electric buses on an avenue, cable cars above the town."""
    p, chance = scene.palette, scene.chance
    scene.sky(sun_height=0.45)
    scene.peaks(330, 130)
    scene.skyline(360, mix(p.far, p.mid, 0.5))
    scene.skyline(396, p.mid, lit=mix(p.haze, p.mid, 0.3))
    scene.hill(lambda _: 424, p.near, p.ground)
    if chance.random() < 0.6:
        low, high = chance.uniform(210, 250), chance.uniform(110, 150)
        scene.add(stroke(f"M-5 {n(low)}L805 {n(high)}", p.deep, 2.5))
        for i in range(3):
            x = 120 + i * 260 + chance.uniform(-30, 30)
            y = low + (high - low) * x / WIDTH
            cabin = (
                stroke("M0 0v16", p.deep, 3)
                + rect(-20, 16, 40, 34, p.accent, 8)
                + rect(-15, 22, 30, 13, p.light, 3)
            )
            scene.stamp(cabin, x, y, 1)
    scene.grove(chance.choice(("palm", "round")), lambda _: 452, 9, 0.95, tone=0.2)
    road = mix(mix(p.deep, p.far, 0.28), "#53585f", 0.6)
    scene.add(
        rect(0, 448, WIDTH, 152, scene.gradient(mix(road, p.haze, 0.12), road)),
        rect(0, 446, WIDTH, 8, p.light),
    )
    scene.add(stroke("M20 528H800", p.light, 6, 'stroke-dasharray="46 40" opacity=".8"'))
    _bus(scene, chance.uniform(40, 130), 516, 0.92, p.water)
    _bus(scene, chance.uniform(300, 420), 580, 1.3, p.accent)


def _bus(scene: Scene, x: float, y: float, size: float, colour: str) -> None:
    p = scene.palette
    dark = mix(p.deep, "#10181c", 0.5)
    body = (
        rect(0, -92, 270, 84, colour, 14)
        + rect(0, -36, 270, 14, p.light)
        + rect(60, -102, 120, 12, mix(colour, p.deep, 0.3), 5)
    )
    glass = mix(p.sky, p.light, 0.45)
    panes = "".join(rect(14 + i * 41, -80, 35, 36, glass, 5) for i in range(5))
    front = path("M222 -80h26q12 0 14 12l4 32h-44Z", glass) + circle(262, -20, 5, p.sun)
    door = rect(146, -80, 1.5, 70, dark) + rect(182, -80, 1.5, 70, dark)
    wheels = "".join(circle(w, -6, 18, dark) + circle(w, -6, 8, p.light) for w in (56, 212))
    leaf = path("M24 -18q14 -16 28 -8q-8 14 -28 8Z", p.light)
    shadow = ellipse(135, 10, 150, 9, dark, 'opacity=".35"')
    scene.stamp(shadow + body + panes + front + door + leaf + wheels, x, y, size)
