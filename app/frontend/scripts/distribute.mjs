// Copies the generated page to dist/, with a .br and a .gz beside each file that gains from it: the server sends those
// as they are, so nothing is compressed while somebody waits.
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import zlib from 'node:zlib'

const brotli = promisify(zlib.brotliCompress)
const gzip = promisify(zlib.gzip)

const generated = fileURLToPath(new URL('../.output/public', import.meta.url))
const dist = fileURLToPath(new URL('../dist', import.meta.url))

/** A smaller file fits into one packet anyway. */
const smallestBytes = 1024
/** Fonts and pictures are compressed by their own formats. */
const compressible = new Set(['.html', '.js', '.mjs', '.css', '.json', '.svg', '.txt', '.xml', '.webmanifest'])

await rm(dist, { recursive: true, force: true })
await mkdir(dist, { recursive: true })
await cp(generated, dist, { recursive: true })
// The font may be passed on only together with its licence.
const font = fileURLToPath(new URL('../node_modules/@fontsource-variable/bricolage-grotesque/LICENSE', import.meta.url))
await cp(font, join(dist, 'licenses', 'bricolage-grotesque.txt'))

const totals = new Map()
const entries = await readdir(dist, { recursive: true, withFileTypes: true })
await Promise.all(entries.filter(entry => entry.isFile()).map(async (entry) => {
  const path = join(entry.parentPath, entry.name)
  const content = await readFile(path)
  const kind = extname(path).slice(1) || relative(dist, path)
  const total = totals.get(kind) ?? { files: 0, raw: 0, brotli: 0 }
  totals.set(kind, total)
  total.files += 1
  total.raw += content.length
  if (content.length <= smallestBytes || !compressible.has(extname(path))) {
    total.brotli += content.length
    return
  }
  const [small, smaller] = await Promise.all([
    gzip(content, { level: 9 }),
    brotli(content, {
      params: {
        [zlib.constants.BROTLI_PARAM_MODE]: zlib.constants.BROTLI_MODE_TEXT,
        [zlib.constants.BROTLI_PARAM_QUALITY]: zlib.constants.BROTLI_MAX_QUALITY,
        [zlib.constants.BROTLI_PARAM_SIZE_HINT]: content.length,
      },
    }),
  ])
  total.brotli += smaller.length
  await Promise.all([writeFile(`${path}.gz`, small), writeFile(`${path}.br`, smaller)])
}))

const kilobytes = bytes => (bytes / 1000).toFixed(1).padStart(7)
console.log('dist/      files  raw kB  brotli kB')
for (const [kind, total] of [...totals].sort()) {
  console.log(`${kind.padEnd(12)} ${String(total.files).padStart(3)} ${kilobytes(total.raw)}    ${kilobytes(total.brotli)}`)
}
