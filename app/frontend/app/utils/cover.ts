/** A shape of a cover, on a canvas of 160 by 90. */
export interface CoverShape {
  path: string
  fill: string
}

export interface Cover {
  background: string
  shapes: CoverShape[]
}

const width = 160
const height = 90

/** Four inks each: the ground, two that build the picture, and one that catches the eye. */
const inks: [string, string, string, string][] = [
  ['#0f3d3e', '#1f7a74', '#f4ead5', '#ffb224'],
  ['#a63d2f', '#d9593c', '#fdeedb', '#f6c177'],
  ['#26315f', '#4a63b8', '#e6ecff', '#f2a65a'],
  ['#3c4a1e', '#7a9140', '#f5f1dc', '#e8d36b'],
  ['#4a2040', '#9a4371', '#fde8e4', '#f59a8b'],
  ['#b9dbe6', '#4b9bb5', '#14495c', '#ff7a52'],
  ['#ecd9b0', '#d6974b', '#7c3f20', '#1e5a5a'],
  ['#171b2e', '#39406b', '#8fd1c0', '#ffcf5c'],
]

type Random = () => number
type Pattern = (random: Random, ink: [string, string, string]) => CoverShape[]

const patterns: Pattern[] = [sunset, testCard, waves, quarters, arcs, stream, discs]

/** Draws the cover of a video: videos have no pictures of their own, and the same id always gives the same cover. */
export function drawCover(id: string): Cover {
  const random = randomFrom(id)
  const [background, ...ink] = pick(random, inks)
  return { background, shapes: pick(random, patterns)(random, ink) }
}

/** Stripes that thin out towards a low sun. */
function sunset(random: Random, [middle, light, spark]: [string, string, string]): CoverShape[] {
  const x = between(random, 45, 115)
  const shapes = [{ path: circle(x, 46, between(random, 24, 30)), fill: spark }]
  for (let line = 0; line < 6; line++) {
    shapes.push({ path: rectangle(0, 46 + line * 8, width, 1.5 + line * 1.2), fill: line % 3 === 2 ? light : middle })
  }
  return shapes
}

/** Colour bars with a disc, as television once showed when it had nothing to show. */
function testCard(random: Random, [middle, light, spark]: [string, string, string]): CoverShape[] {
  const shapes: CoverShape[] = []
  const colours = [middle, light, spark]
  let x = between(random, -6, 8)
  for (let bar = 0; x < width; bar++) {
    const wide = between(random, 8, 26)
    if (bar % 2 === 0) shapes.push({ path: rectangle(x, 0, wide, height), fill: colours[(bar / 2) % 3]! })
    x += wide
  }
  const y = between(random, 38, 52)
  const centre = between(random, 55, 105)
  shapes.push({ path: circle(centre, y, 25), fill: light }, { path: circle(centre, y, 17), fill: middle })
  return shapes
}

function waves(random: Random, [middle, light, spark]: [string, string, string]): CoverShape[] {
  const colours = [middle, spark, middle, light]
  const shift = between(random, 0, Math.PI * 2)
  return colours.map((fill, band) => {
    const top = 18 + band * 19
    const points = Array.from({ length: 21 }, (_, step) => {
      const x = step * 8
      const y = top + Math.sin(x / 26 + shift + band * 0.7) * (9 - band)
      return `${x} ${y.toFixed(1)}`
    })
    return { path: `M${points.join('L')}L160 90L0 90Z`, fill }
  })
}

/** Quarter discs on a grid, each turned by chance. */
function quarters(random: Random, ink: [string, string, string]): CoverShape[] {
  const size = 30
  const shapes: CoverShape[] = []
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 6; column++) {
      if (random() < 0.18) continue
      const x = column * size - 10
      const y = row * size
      const corners = [
        `M${x} ${y}h${size}a${size} ${size} 0 0 1 -${size} ${size}Z`,
        `M${x + size} ${y}v${size}a${size} ${size} 0 0 1 -${size} -${size}Z`,
        `M${x + size} ${y + size}h-${size}a${size} ${size} 0 0 1 ${size} -${size}Z`,
        `M${x} ${y + size}v-${size}a${size} ${size} 0 0 1 ${size} ${size}Z`,
      ]
      shapes.push({ path: pick(random, corners), fill: random() < 0.55 ? ink[0] : pick(random, ink) })
    }
  }
  return shapes
}

/** Rings around a corner. */
function arcs(random: Random, [middle, light, spark]: [string, string, string]): CoverShape[] {
  const x = random() < 0.5 ? between(random, 0, 40) : between(random, 120, 160)
  const colours = pick(random, [[middle, light, middle, spark], [light, middle, spark, middle]])
  const rings: CoverShape[] = []
  for (let ring = 7; ring > 0; ring--) {
    rings.push({ path: circle(x, height, ring * 16), fill: ring % 2 ? colours[ring % 4]! : 'var(--cover-ground)' })
  }
  return rings
}

/** Bars of many lengths, the family of the sign itself. */
function stream(random: Random, [middle, light, spark]: [string, string, string]): CoverShape[] {
  const bright = Math.floor(random() * 7)
  return Array.from({ length: 7 }, (_, line) => {
    const long = between(random, 40, 130)
    const fill = line === bright ? spark : line % 3 === 0 ? light : middle
    return { path: bar(between(random, -20, 150 - long), 7 + line * 11.5, long, 7), fill }
  })
}

/** Two discs that lie over slanted stripes. */
function discs(random: Random, [middle, light, spark]: [string, string, string]): CoverShape[] {
  const shapes: CoverShape[] = []
  for (let x = -90; x < width; x += 22) shapes.push({ path: `M${x} 90L${x + 90} 0h9L${x + 9} 90Z`, fill: middle })
  const left = between(random, 45, 75)
  shapes.push(
    { path: circle(left, 45, 27), fill: light },
    { path: circle(left + between(random, 30, 45), between(random, 34, 56), 19), fill: spark },
  )
  return shapes
}

function circle(x: number, y: number, radius: number): string {
  const r = radius.toFixed(1)
  return `M${(x - radius).toFixed(1)} ${y.toFixed(1)}a${r} ${r} 0 1 0 ${(radius * 2).toFixed(1)} 0a${r} ${r} 0 1 0 -${(radius * 2).toFixed(1)} 0Z`
}

function rectangle(x: number, y: number, wide: number, high: number): string {
  return `M${x.toFixed(1)} ${y.toFixed(1)}h${wide.toFixed(1)}v${high.toFixed(1)}h-${wide.toFixed(1)}Z`
}

function bar(x: number, y: number, long: number, thick: number): string {
  const r = thick / 2
  return `M${x.toFixed(1)} ${y.toFixed(1)}h${long.toFixed(1)}a${r} ${r} 0 0 1 0 ${thick}h-${long.toFixed(1)}a${r} ${r} 0 0 1 0 -${thick}Z`
}

function between(random: Random, low: number, high: number): number {
  return low + random() * (high - low)
}

function pick<T>(random: Random, from: readonly T[]): T {
  // The index is below the length; no list here is empty.
  return from[Math.floor(random() * from.length)]!
}

/** Numbers from 0 to 1 that a text decides: FNV-1a for the seed, then mulberry32. */
function randomFrom(text: string): Random {
  let state = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193)
  }
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
